"""Holds records, a line each with their topic, against what configs/asyncapi.yaml says of it."""

import json
import pathlib
import sys

import jsonschema_rs
import yaml


def main(configs):
    configs = pathlib.Path(configs)
    documents = {
        file.name: yaml.safe_load(file.read_text())
        for file in [*configs.glob("*.schema.json"), configs / "openapi.yaml", configs / "asyncapi.yaml"]
    }
    channels, messages = (documents["asyncapi.yaml"][part] for part in ("channels", "components"))
    problems, seen = [], set()

    def schema(topic):
        (message,) = channels[topic]["messages"].values()
        reference = messages["messages"][message["$ref"].rpartition("/")[2]]["payload"].get("$ref")
        if reference is None:
            return {}
        name, _, place = reference.removeprefix("./").partition("#")
        document = documents[name]
        return {"$ref": f"#{place}", "components": document["components"]} if place else document

    for line in sys.stdin:
        record = json.loads(line)
        seen.add(record["topic"])
        for error in jsonschema_rs.Draft202012Validator(schema(record["topic"])).iter_errors(record["value"]):
            problems.append(f"{record['topic']}: {error.message} at {list(error.instance_path)}")
    for topic, channel in channels.items():
        assert channel["address"] == topic, topic
    print(*sorted(seen))
    if problems:
        sys.exit("\n".join(problems))


main(*sys.argv[1:])
