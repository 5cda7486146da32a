"""Asks a running server for all that its own document describes, and says where the two differ.

Every method that is described is taken and no other; every answer is what its schema says, and nothing beside it.
"""

import json
import sys
import urllib.error
import urllib.request

import jsonschema_rs

VALUES = {"agent": "sim-triage", "version": "2", "unit": "session-17", "from": "1", "to": "2"}
METHODS = ("get", "post", "put", "patch", "delete")


def ask(url, method, body=None):
    headers = {"Content-Type": "application/json"} if body is not None else {}
    request = urllib.request.Request(url, body, headers, method=method.upper())
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refused:
        return refused


def close(schema):
    """What is not described may not be there."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


def main(server):
    document = json.load(ask(f"{server}/api/openapi.json", "get"))
    components = json.loads(json.dumps(document["components"]))
    close(components)
    problems = []

    def resolved(part):
        while "$ref" in part:
            place = document
            for name in part["$ref"].removeprefix("#/").split("/"):
                place = place[name]
            part = place
        return part

    def hold(what, schema, value):
        schema = {**json.loads(json.dumps(schema)), "components": components}
        close(schema)
        for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(value):
            problems.append(f"{what}: {error.message} at {list(error.instance_path)}")

    def listen(what, response):
        for line in response:
            if line.startswith(b"data: "):
                hold(what, {"$ref": "#/components/schemas/PromptUpdate"}, json.loads(line[6:]))
                return

    def check(path, method, body=None):
        described = document["paths"][path][method]
        parameters = document["paths"][path].get("parameters", []) + described.get("parameters", [])
        wanted = [resolved(one) for one in parameters]
        query = "&".join(f"{one['name']}={VALUES[one['name']]}" for one in wanted
                         if one["in"] == "query" and one.get("required"))
        what = f"{method} {path}"
        response = ask(server + path.format_map(VALUES) + (f"?{query}" if query else ""), method, body)
        answer = resolved(described["responses"].get(str(response.status), {}))
        kind = response.headers.get_content_type()
        if kind not in answer.get("content", {}):
            problems.append(f"{what}: {response.status} {kind} is not described")
        elif kind == "application/json":
            hold(what, answer["content"][kind]["schema"], json.load(response))
        elif kind == "text/event-stream":
            listen(what, response)
        if method == "get" and response.status != 200:
            problems.append(f"{what}: {response.status}")

    for path, described in document["paths"].items():
        for method in METHODS:
            if method not in described:
                status = ask(server + path.format_map(VALUES), method, b"{}").status
                if status != 405:
                    problems.append(f"{method} {path}: {status}, and it is not described")
            elif method == "get":
                check(path, method)
            else:
                # Taken, and refused with words.
                check(path, method, b"[1, ")
    check("/api/agents/{agent}/reject", "post", b'{"version": 1, "reason": "a test", "by": "a test"}')
    check("/api/agents/{agent}/optimize", "post", b"{}")
    for name in ("decisions", "dead-letters", "agents"):
        if not json.load(ask(f"{server}/api/{name}", "get"))["items"]:
            problems.append(f"there are no {name} to look at")
    if problems:
        sys.exit("\n".join(problems))


main(*sys.argv[1:])
