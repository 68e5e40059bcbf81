"""Each Python process with this folder on its path, and each process that it begins, refuses to import a framework."""

import sys

FRAMEWORKS = {"torch", "tensorflow", "tf_keras", "keras", "jax", "jaxlib", "flax", "onnx"}


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Raise an error that no ``except ImportError`` catches. Looking for a module, without importing it, is allowed."""
    if event == "import" and str(arguments[0]).partition(".")[0] in FRAMEWORKS:
        raise RuntimeError(f"a quick test imports {arguments[0]}: mark it with pytest.mark.framework")


sys.addaudithook(refuse)
