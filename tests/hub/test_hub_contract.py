"""The entry gate of seed 000, T027: the contract covers every field of the record, and its examples are valid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import declared_record
import pytest
import yaml
from hub_bench import Hub, configure
from jsonschema import Draft202012Validator, ValidationError

from kitty_flow.agents.settings_hub import HUB_EVENTS, HUB_MODES
from kitty_flow.flow.project import Project
from kitty_flow.hub.delivery import BATCH_EVENTS, SCHEMA
from kitty_flow.hub.protocol import device_code, grant, verdicts
from kitty_flow.invocation import record
from kitty_flow.invocation.pending import SENT, TEXT
from kitty_flow.invocation.propagator import settle
from kitty_flow.invocation.runtime import Opening, begin, complete

ROOT = Path(__file__).parents[2]
CONTRACT: dict[str, Any] = yaml.safe_load((ROOT / "docs/reference/hub-openapi.yaml").read_text())
SCHEMAS = CONTRACT["components"]["schemas"]
KINDS = get_args(declared_record.RecordEvent)


def check(schema: dict[str, Any], value: Any) -> None:
    """Validate against a schema of the contract, whose references lead into the document."""
    Draft202012Validator({"components": CONTRACT["components"], **schema}).validate(value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_the_record_is_in_the_contract(kind: type[declared_record.RecordEvent]) -> None:
    own, common = SCHEMAS[kind.__name__], SCHEMAS["EventCommon"]
    fields = {field.alias or name for name, field in kind.model_fields.items()}
    assert fields == {*own["properties"], *common["properties"]}
    name = own["properties"]["event"]["const"]
    assert set(SENT[name]) == fields  # and all of them may be sent
    required = {field.alias or n for n, field in kind.model_fields.items() if field.is_required()}
    always = {*own["required"], *common["required"]}
    assert required - TEXT <= always and not TEXT & always
    generated = kind.model_json_schema(by_alias=True)
    for each, schema in own["properties"].items():
        if "enum" in schema:
            assert schema["enum"] == generated["properties"][each]["enum"]


def test_names_and_limits_are_those_of_the_code() -> None:
    assert set(HUB_EVENTS) == set(SENT) == {SCHEMAS[kind.__name__]["properties"]["event"]["const"] for kind in KINDS}
    assert list(HUB_MODES) == SCHEMAS["Started"]["properties"]["mode_of_work"]["enum"]
    batch = SCHEMAS["Batch"]["properties"]
    assert (batch["schema"]["const"], batch["events"]["maxItems"]) == (SCHEMA, BATCH_EVENTS)
    assert SCHEMAS["EventCommon"]["properties"]["schema"]["const"] == record.OP_SCHEMA


def examples(node: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """(schema, value) of every example of the document."""
    if isinstance(node, dict):
        if "schema" in node and isinstance(node["schema"], dict):
            if "example" in node:
                yield node["schema"], node["example"]
            yield from ((node["schema"], each["value"]) for each in node.get("examples", {}).values())
        for each in node.values():
            yield from examples(each)
    elif isinstance(node, list):
        for each in node:
            yield from examples(each)


def test_every_example_is_valid(hub: Hub) -> None:
    found = list(examples(CONTRACT))
    assert len(found) > 10
    for schema, value in found:
        check(schema, value)
    batches = [value["events"] for schema, value in found if schema.get("$ref", "").endswith("/Batch")]
    for event in (event for batch in batches for event in batch):
        text = {"request_text": ""} if event["event"] == "started" else {}
        assert record.parse_event({**text, **event}).event_id == event["event_id"]
    for name, read in {"Grant": grant, "DeviceCode": device_code}.items():
        for schema, value in found:
            if schema.get("$ref", "").endswith(f"/{name}"):
                assert read(hub.address, value)
    (results,) = (value for schema, value in found if schema.get("$ref", "").endswith("/Results"))
    asked = [each["event_id"] for each in results["results"]]
    assert [v.status for v in verdicts(hub.address, results, asked)] == ["accepted", "duplicate", "rejected"]


@pytest.mark.usefixtures("client", "logged_in")
def test_what_is_really_sent_is_in_the_contract(hub: Hub, repo: Path) -> None:
    for text in (False, True):
        configure(repo, hub, send_text=text, events=list(HUB_EVENTS))
        opening = Opening("reviewer", "review", "text", "0" * 64, True, "exact", "mission_step", "ann", "m", "WP01")
        started = begin(Project.discover(repo), opening)
        complete(
            Project.discover(repo), started.invocation_id, "failed", summary="why", artifacts=["a"], commits=["HEAD"],
            evidence=repo / "README.md",
        )  # fmt: skip
        settle()
    bodies = [each["body"] for each in hub.asked("/v1/events")]
    assert {event["event"] for body in bodies for event in body["events"]} == set(HUB_EVENTS)
    for body in bodies:
        check({"$ref": "#/components/schemas/Batch"}, body)
    for wrong in ({"more": 1}, {"event_id": "x"}, {"lamport": 0}, {"event": "ended"}):
        event = {**bodies[0]["events"][0], **wrong}
        with pytest.raises(ValidationError):
            check({"$ref": "#/components/schemas/Batch"}, {**bodies[0], "events": [event]})
