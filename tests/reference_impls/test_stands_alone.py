"""The package needs NumPy and nothing else, so that any file can be lifted out."""

import importlib
import subprocess
import sys
from pathlib import Path

import reference_impls

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
before = set(sys.modules)
import importlib, pkgutil, reference_impls
for module in pkgutil.walk_packages(reference_impls.__path__, "reference_impls."):
    importlib.import_module(module.name)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
assert len([name for name in sys.modules if name.startswith("reference_impls.")]) >= 6
print(*sorted(new - set(sys.stdlib_module_names) - {"reference_impls", "numpy"}))
assert "numpy" in new
"""


def test_only_numpy_and_the_standard_library_are_imported():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_module_that_the_environment_names_is_imported_if_it_is_there(monkeypatch, tmp_path):
    (tmp_path / "observing_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("observing_module", "a_module_that_is_not_there"):
        monkeypatch.setenv("REFERENCE_IMPLS_OBSERVER", name)
        importlib.reload(reference_impls)
    assert sys.modules.pop("observing_module").__file__ == str(tmp_path / "observing_module.py")
    assert reference_impls.OBSERVER == "REFERENCE_IMPLS_OBSERVER"
