"""A framework has more than one process where that is asked for and worth it; the answers are the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.processes import WorkerFailed, Workers
from harness.execution.processes.crew import Crew
from harness.execution.processes.messages import of_problem
from harness.implementations import NUMPY, implementations
from harness.problem import build


def problem_of(seed):
    case = ValidCase(
        name="many",
        file="many",
        sizes=Sizes(batch=2, time=100, input=3, hidden=4),
        weights={"normal": 1.0, "seed": seed},
        loss=Loss(kind="dot"),
        upstream="ones",
    )
    return build(case, None)


def gradients(workers, problems):
    reference = implementations()["numpy-split"]
    with ThreadPoolExecutor(6) as calls:
        outcomes = list(calls.map(lambda problem: workers.run(reference, problem), problems))
    return [{name: array.tobytes() for name, array in outcome.result.gradients.items()} for outcome in outcomes]


@pytest.mark.parametrize(("to_come", "jobs", "least", "most"), [(0, 3, 1, 1), (10**9, 3, 2, 3), (10**9, 1, 1, 1)])
def test_processes_start_where_enough_is_left_to_do(to_come, jobs, least, most):
    problems = [problem_of(seed) for seed in range(12)]
    with Workers() as one:
        expected = gradients(one, problems)
    with Workers(jobs=jobs) as workers:
        workers.introduction(NUMPY)
        workers.expect(NUMPY, to_come)
        assert gradients(workers, problems) == expected
        assert least <= len(workers._crew(NUMPY).processes) <= most


def test_what_is_cached_is_no_longer_to_come():
    crew = Crew(NUMPY, 2)
    crew.expect(3)
    crew.expect(-3)
    header, arrays = of_problem(problem_of(0))
    crew.ask({"do": "rounding_noise", **header}, arrays)
    assert not crew._another_pays()
    crew.expect(10**9)
    assert crew._another_pays()
    crew.kill()
    crew.close()
    with pytest.raises(WorkerFailed, match="the run was ended"):
        crew.introduced()


def test_a_question_that_breaks_off_leaves_no_answer_behind():
    """The answer that is under way would be taken for that to the next question."""
    with Workers() as workers:
        reference, problem = implementations()["numpy-split"], problem_of(1)
        header, arrays = of_problem(problem)
        with pytest.raises(TypeError):
            workers._crew(NUMPY).ask({"do": "rounding_noise", **header, "odd": {1, 2}}, arrays)
        assert workers.run(reference, problem).status == "ok"
