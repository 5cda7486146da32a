"""Scripted agents, traced as people trace theirs, and on standard output what they did.

    agents.py http | grpc                       exports where OTEL_EXPORTER_OTLP_ENDPOINT says
    agents.py kafka BROKERS SPANS LOGS by-trace|unkeyed
                                                writes to Kafka what a Collector would

Nothing here knows Whetstone: the instrumentation is OpenTelemetry's SDK, OpenInference's library and its
instrumentor for openai, which talks to a server of this process.
"""

import http.server
import json
import logging
import sys
import threading
from contextlib import contextmanager

from openai import OpenAI
from openinference.instrumentation import OITracer, TraceConfig, using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

EVALUATION = "gen_ai.evaluation.result"

# What the agents did: the truth that whoever reads the spans is held against.
runs, tools, calls = [], [], []


def ids(span):
    context = span.get_span_context()
    return dict(trace=format(context.trace_id, "032x"), span=format(context.span_id, "016x"))


class Run:
    """One run of an agent, as it happens."""

    def __init__(self, agent, session=None, outcome="unknown", task=None, version=None, retries=0):
        self.did = dict(agent=agent, session=session, outcome=outcome, task=task, version=version,
                        retries=retries, tools=[], models=[], input=0, output=0, cost=None)
        runs.append(self.did)

    def began(self, span):
        self.did.update(ids(span))
        self.did["session"] = self.did["session"] or self.did["trace"]

    def tool(self, span, name, arguments, error=None):
        self.did["tools"].append([name, error is None])
        tools.append(dict(ids(span), name=name, arguments=arguments, error=error))

    def call(self, span, model, input, output, cost=None, failed=False):
        self.used(input, output, cost)
        if not failed:
            self.did["models"].append(model)
        if span is not None:
            calls.append(dict(ids(span), model=model, input=input, output=output, cost=cost))

    def used(self, input, output, cost=None):
        self.did["input"] += input
        self.did["output"] += output
        if cost is not None:
            self.did["cost"] = round((self.did["cost"] or 0) + cost, 6)


def said(role, text):
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


# ---- OpenTelemetry's own conventions, as they are now -------------------------------------------------


class Current:
    """An agent traced with the names of OpenTelemetry's GenAI conventions."""

    def __init__(self, tracer):
        self.tracer = tracer

    @contextmanager
    def agent(self, run, ok=True, error=None, **more):
        name = run.did["agent"]
        attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name,
                      "gen_ai.provider.name": "openai"}
        if run.did["session"]:
            attributes["gen_ai.conversation.id"] = run.did["session"]
        if run.did["task"]:
            attributes["gen_ai.input.messages"] = said("user", run.did["task"])
        attributes.update(more)
        with self.tracer.start_as_current_span(f"invoke_agent {name}", attributes=attributes) as span:
            run.began(span)
            yield span
            if error:
                span.set_attribute("error.type", error)
                span.set_status(Status(StatusCode.ERROR, "it gave up"))
            elif ok:
                span.set_status(Status(StatusCode.OK))

    def chat(self, run, input, output, cost=None, error=None, **more):
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4.1",
                      "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
                      "gen_ai.output.messages": said("assistant", "Let me look."), **more}
        if cost is not None:
            attributes["gen_ai.usage.cost"] = cost
        model = "gpt-4.1"
        with self.tracer.start_as_current_span("chat gpt-4.1", attributes=attributes) as span:
            if error:
                span.set_attribute("error.type", error)
                span.set_status(Status(StatusCode.ERROR))
            else:
                model = "gpt-4.1-2025-04-14"
                span.set_attribute("gen_ai.response.model", model)
            run.call(span, model, input, output, cost, failed=bool(error))

    @contextmanager
    def tool(self, run, name, arguments, error=None, message=None):
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name,
                      "gen_ai.tool.call.arguments": json.dumps(arguments)}
        with self.tracer.start_as_current_span(f"execute_tool {name}", attributes=attributes) as span:
            run.tool(span, name, arguments, f"{error}: {message}" if error else None)
            yield span
            if error:
                span.set_attribute("error.type", error)
                span.set_status(Status(StatusCode.ERROR, message))


def current(tracer, logger):
    """Support, which asks a second agent through a tool; that one has to be tried again."""
    speaks = Current(tracer)
    with tracer.start_as_current_span("POST /chat", attributes={"http.route": "/chat"}):
        support = Run("support", session="conversation-7", outcome="success", version=3,
                      task="Where is order 17?")
        named = {"gen_ai.prompt.name": "support", "gen_ai.prompt.version": "3"}
        with speaks.agent(support, ok=False) as span:
            speaks.chat(support, 900, 40, cost=0.0021, **named)
            with speaks.tool(support, "get_order", {"order": 17}, "timeout", "no answer in 5 s"):
                pass
            speaks.chat(support, 0, 0, error="rate_limit", **named)
            speaks.chat(support, 980, 35, cost=0.0024, **named)
            with speaks.tool(support, "get_order", {"order": 17}):
                pass
            with speaks.tool(support, "ask_billing", {"about": "order 17"}):
                first = Run("billing", session="conversation-7", outcome="failure")
                with speaks.agent(first, error="ToolError"):
                    speaks.chat(first, 100, 10)
                second = Run("billing", session="conversation-7", outcome="success", retries=1)
                with speaks.agent(second):
                    speaks.chat(second, 110, 12)
                    with speaks.tool(second, "get_invoice", {"order": 17}):
                        pass
            # Its own spans do not say how it went; what was seen in it does.
            span.add_event(EVALUATION, {"gen_ai.evaluation.name": "answered",
                                        "gen_ai.evaluation.score.label": "pass"})

    # Each in a trace of its own: one that broke with its provider, and one that is judged by another process.
    broken = Run("support", session="conversation-8", outcome="aborted", task="Hello?")
    with speaks.agent(broken, error="provider_down"):
        speaks.chat(broken, 50, 0, error="provider_down")
    judged = Run("research", outcome="failure", task="Who was first?")
    with speaks.agent(judged) as span:
        speaks.chat(judged, 70, 7)
        context = trace.set_span_in_context(span)
    logger.emit(context=context, event_name=EVALUATION, attributes={
        "gen_ai.evaluation.name": "correct", "gen_ai.evaluation.score.value": 0.2})
    logger.emit(context=context, body="nothing that is of interest")


# ---- the same, by older names and by platforms of their own -------------------------------------------


def older(tracer):
    """OpenLLMetry, with what it sends besides from before there were conventions."""
    run = Run("planner", session="session-3", outcome="success", version=12)
    own = {"traceloop.association.properties.session_id": "session-3"}
    with tracer.start_as_current_span("planner.agent", attributes={
            "traceloop.span.kind": "agent", "traceloop.entity.name": "planner",
            "traceloop.entity.input": json.dumps({"inputs": {"question": "What next?"}}), **own}) as span:
        run.began(span)
        with tracer.start_as_current_span("openai.chat", attributes={
                "llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4",
                "gen_ai.usage.prompt_tokens": 300, "gen_ai.usage.completion_tokens": 20,
                "llm.usage.total_tokens": 320, "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "What next?", "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": "A plan.", "traceloop.prompt.key": "planner",
                "traceloop.prompt.version": 12, **own}) as call:
            run.call(call, "gpt-4", 300, 20)
        arguments = {"inputs": {"path": "/tmp"}}
        try:
            with tracer.start_as_current_span("list_files.tool", attributes={
                    "traceloop.span.kind": "tool", "traceloop.entity.name": "list_files",
                    "traceloop.entity.input": json.dumps(arguments), **own}) as tool:
                run.tool(tool, "list_files", arguments, "PermissionError: not yours")
                raise PermissionError("not yours")
        except PermissionError:
            pass
        span.set_status(Status(StatusCode.OK))


def platforms(tracer):
    """What Langfuse, MLflow and LangSmith write, with the link to the prompt that each has."""
    run = Run("writer", session="chat-1", outcome="success", version=5, task="Write.")
    with tracer.start_as_current_span("writer", attributes={
            "langfuse.observation.type": "agent", "langfuse.session.id": "chat-1",
            "input.value": "Write."}) as span:
        run.began(span)
        with tracer.start_as_current_span("generation", attributes={
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "claude-sonnet-4",
                "langfuse.observation.cost_details": json.dumps({"total": 0.01}),
                "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 90,
                "langfuse.observation.prompt.name": "writer",
                "langfuse.observation.prompt.version": 5}) as call:
            run.call(call, "claude-sonnet-4", 10, 90, 0.01)
        span.set_status(Status(StatusCode.OK))

    run = Run("grader", outcome="success", version=2)
    with tracer.start_as_current_span("grader", attributes={"mlflow.spanType": '"AGENT"'}) as span:
        run.began(span)
        with tracer.start_as_current_span("completions", attributes={
                "mlflow.spanType": '"CHAT_MODEL"', "gen_ai.request.model": "gpt-4o",
                "mlflow.linkedPrompts": json.dumps([{"name": "grader", "version": "2"},
                                                    {"name": "rubric", "version": "9"}])}) as call:
            run.call(call, "gpt-4o", 0, 0)
        span.set_status(Status(StatusCode.OK))

    run = Run("router", outcome="failure", version=8)
    with tracer.start_as_current_span("router", attributes={
            "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "router"}) as span:
        run.began(span)
        with tracer.start_as_current_span("ChatOpenAI", attributes={
                "gen_ai.operation.name": "chat", "gen_ai.system": "openai",
                "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 5,
                "gen_ai.usage.output_tokens": 1, "langsmith.metadata.lc_hub_repo": "router",
                "langsmith.metadata.lc_hub_commit_hash": "8"}) as call:
            run.call(call, "gpt-4o-mini", 5, 1)
        span.set_status(Status(StatusCode.ERROR, "no route"))


# ---- OpenInference's own library, and openai's client under its instrumentor --------------------------


class FakeModel(http.server.BaseHTTPRequestHandler):
    """The least of an OpenAI-compatible server."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = json.dumps({
            "id": "1", "object": "chat.completion", "created": 1770000000,
            "model": "gpt-4.1-mini-2025-04-14",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": "Blue."}}],
            "usage": {"prompt_tokens": 21, "completion_tokens": 2, "total_tokens": 23}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def openinference(provider):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeModel)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    client = OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")
    tracer = OITracer(provider.get_tracer("agents"), TraceConfig())
    run = Run("painter", session="thread-9", outcome="success", version=4, task="What colour?")

    @tracer.tool(name="mix")
    def mix(first: str, second: str) -> str:
        mine = dict(first=first, second=second)
        wrong = None if first != second else "ValueError: one colour twice"
        run.tool(trace.get_current_span(), "mix", mine, wrong)
        if wrong:
            raise ValueError("one colour twice")
        return "blue"

    @tracer.agent(name="painter")
    def paint(question: str) -> str:
        run.began(trace.get_current_span())
        try:
            mix("red", "red")
        except ValueError:
            pass
        mix("cyan", "magenta")
        answer = client.chat.completions.create(
            model="gpt-4.1-mini", messages=[{"role": "user", "content": question}])
        # The span is over by now, and nobody has it: what it says is looked for by its model.
        run.call(None, answer.model, answer.usage.prompt_tokens, answer.usage.completion_tokens)
        with tracer.start_as_current_span("priced", openinference_span_kind="llm", attributes={
                "llm.model_name": "gpt-4.1", "llm.token_count.prompt": 8,
                "llm.token_count.completion": 1, "llm.cost.total": 0.0005}) as span:
            run.call(span, "gpt-4.1", 8, 1, 0.0005)
        return answer.choices[0].message.content

    with using_attributes(session_id="thread-9", prompt_template="{question}",
                          prompt_template_version="v4"):
        paint("What colour?")
    OpenAIInstrumentor().uninstrument()
    client.close()
    server.shutdown()


# ---- where it goes --------------------------------------------------------------------------------------


def exporters(protocol):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPSpanExporter(), OTLPLogExporter(), OTLPMetricExporter()


def kafka_exporters(brokers, spans_topic, logs_topic, keys):
    """As a Collector's exporter writes them: whole messages without a key, or one a trace with its id."""
    from confluent_kafka import Producer
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    producer = Producer({"bootstrap.servers": brokers})

    def produce(topic, message, trace_id=None):
        key = format(trace_id, "032x").encode() if trace_id and keys == "by-trace" else None
        producer.produce(topic, value=message.SerializeToString(), key=key)
        if producer.flush(30):
            raise RuntimeError("Kafka does not answer")

    class Spans(SpanExporter):
        def export(self, batch):
            if keys == "unkeyed":
                produce(spans_topic, encode_spans(batch))
                return SpanExportResult.SUCCESS
            for trace_id in {span.context.trace_id for span in batch}:
                mine = [span for span in batch if span.context.trace_id == trace_id]
                produce(spans_topic, encode_spans(mine), trace_id)
            return SpanExportResult.SUCCESS

    class Logs(LogRecordExporter):
        def export(self, batch):
            for record in batch:
                produce(logs_topic, encode_logs([record]), record.log_record.trace_id)
            return LogRecordExportResult.SUCCESS

        def shutdown(self):
            pass

        def force_flush(self, timeout_millis=10_000):
            return True

    return Spans(), Logs(), None


class Complaints(logging.Handler):
    """What the SDK says went wrong: it raises nothing."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def main(protocol, *to):
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    spans, logs, metrics = kafka_exporters(*to) if protocol == "kafka" else exporters(protocol)
    resource = Resource.create({"service.name": "shop"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(spans))
    logger_provider = LoggerProvider(resource=resource)
    logger_provider.add_log_record_processor(BatchLogRecordProcessor(logs))
    readers = [PeriodicExportingMetricReader(metrics)] if metrics else []
    meter_provider = MeterProvider(resource=resource, metric_readers=readers)
    meter_provider.get_meter("agents").create_counter("answers").add(1)

    tracer = provider.get_tracer("agents")
    current(tracer, logger_provider.get_logger("agents"))
    older(tracer)
    platforms(tracer)
    openinference(provider)
    for each in (provider, logger_provider, meter_provider):
        each.shutdown()
    print(json.dumps(dict(runs=runs, tools=tools, calls=calls, complaints=complaints.texts)))


main(*sys.argv[1:])
