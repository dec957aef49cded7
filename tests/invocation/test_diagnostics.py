"""Remarks about sending reach the outcome of the command that was running, and never turn it into a failure."""

from __future__ import annotations

import json

import pytest

from kitty_flow.cli.output import Result, opened
from kitty_flow.errors import RefusedError
from kitty_flow.invocation.diagnostics import remark


def _sending(text: str) -> Result:
    for _ in range(3):
        remark("HUB_UNREACHABLE", text, sync_phase="deliver")
    return Result({"recorded": True}, "recorded")


def test_text_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with opened(as_json=False) as output:
        assert output.perform(lambda: _sending("the hub is asleep")) == 0
    told = capsys.readouterr()
    assert told.out == "recorded\n"
    assert told.err.count("the hub is asleep") == 1


def test_the_document_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    with opened(as_json=True) as output:
        assert output.perform(lambda: _sending("the hub is on holiday")) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["data"]) == (True, {"recorded": True})
    (said,) = document["diagnostics"]
    assert {name: said[name] for name in ("diagnostic_code", "sync_phase", "fatal", "severity")} == {
        "diagnostic_code": "HUB_UNREACHABLE",
        "sync_phase": "deliver",
        "fatal": False,
        "severity": "warning",
    }


def test_a_refusal_tells_them_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    def refused() -> Result:
        _sending("the hub is gone")
        raise RefusedError("NO", "no", hint="kitty-flow status")

    with opened(as_json=True) as output:
        assert output.perform(refused) == 4
    document = json.loads(capsys.readouterr().out)
    assert [each["message"] for each in document["diagnostics"]] == ["the hub is gone"]
