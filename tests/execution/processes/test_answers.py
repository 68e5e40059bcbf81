"""An answer's header holds what it should, or what is wrong with it is said."""

import pytest

from harness.execution.processes.answers import mistake

RUN = {"do": "run"}
RESULT = {"seconds": 0.5, "misfits": {"b": "a wrong shape"}, "untrained": ""}
OFFER = {
    "name": "a",
    "function": "f",
    "layout": "split",
    "rounds": "bfloat16",
    "about": "",
    "recurrence": "",
    "line": 3,
    "complete": True,
    "supports": {},
}

RIGHT = {
    "a result": ({"status": "ok", **RESULT}, RUN),
    "a result with remarks": ({"status": "ok", **RESULT, "remarks": [["kind", "text"]], "second": RESULT}, RUN),
    "an error": ({"status": "error", "reason": "ValueError", "detail": "Traceback"}, RUN),
    "an error in training": ({"status": "error", "reason": "ValueError", **RESULT}, RUN),
    "noise": ({"status": "ok", "noise": {"loss": 1e-16}}, {"do": "rounding_noise"}),
    "a floor": ({"status": "ok", "source": "balls", "rounding": {"loss": 0.0}, "reason": ""}, {"do": "floor"}),
    "a process that is ready": ({"versions": {"numpy": "2.0"}, "seconds": 1, "offered": [OFFER]}, None),
    "a file that is refused": ({"versions": {}, "seconds": 0.0, "refused": "no", "detail": ""}, None),
    "what only its asker knows": ({"suspects": [[1, "torch"]]}, {"seed": 1}),
}

WRONG = {
    "nothing": ({}, RUN, "its header has no 'status'"),
    "a status of its own": ({"status": "fine"}, RUN, "'status' should be ok, unsupported or error, but is 'fine'"),
    "a status that is a list": ({"status": ["ok"]}, RUN, "'status' should be ok, unsupported or error, but is"),
    "a result without seconds": ({"status": "ok"}, RUN, "its header has no 'seconds'"),
    "part of a result": ({"status": "error", "reason": "", "seconds": 1.0}, RUN, "its header has no 'misfits'"),
    "no reason": ({"status": "error"}, RUN, "its header has no 'reason'"),
    "a reason that is a number": ({"status": "error", "reason": 3}, RUN, "'reason' should be a text, but is 3"),
    "misfits that are a list": ({"status": "ok", **RESULT, "misfits": ["b"]}, RUN, "'misfits' should be texts by name"),
    "a remark alone": ({"status": "ok", **RESULT, "remarks": ["a"]}, RUN, "'remarks' should be a list of pairs"),
    "half a second answer": ({"status": "ok", **RESULT, "second": {}}, RUN, "'second' should be a result, but is {}"),
    "noise of text": ({"status": "ok", "noise": {"loss": "a"}}, {"do": "rounding_noise"}, "should be numbers by name"),
    "no noise": ({"status": "ok"}, {"do": "rounding_noise"}, "its header has no 'noise'"),
    "no versions": ({"seconds": 1.0}, None, "its header has no 'versions'"),
    "seconds that are true": ({"versions": {}, "seconds": True}, None, "'seconds' should be a number, but is True"),
    "half an offer": (
        {"versions": {}, "seconds": 1, "offered": [{"name": "a"}]},
        None,
        "should be a list of implementations",
    ),
}


@pytest.mark.parametrize(("header", "request_"), RIGHT.values(), ids=RIGHT)
def test_what_an_answer_holds(header, request_):
    assert mistake(header, request_) == ""


@pytest.mark.parametrize(("header", "request_", "words"), WRONG.values(), ids=WRONG)
def test_what_no_answer_holds(header, request_, words):
    assert words in mistake(header, request_)
