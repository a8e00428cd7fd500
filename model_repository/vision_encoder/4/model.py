"""What Triton's Python stub runs for this version; model.onnx lies beside it."""

from inkling_server.python_backend import TritonPythonModel

__all__ = ["TritonPythonModel"]
