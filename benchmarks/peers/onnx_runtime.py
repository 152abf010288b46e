"""ONNX Runtime: a model of one operator, on images stored channel by channel, as it keeps them."""

from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from contenders import Array, Contender, Task
from machine import THREADS
from onnx import TensorProto, helper, numpy_helper

TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
}


def contenders(task: Task) -> list[Contender]:
    """Its operator for floats, which does not take float64; for uint8 also that for integers."""
    if (task.mode == "sum" and task.real == np.float64) or not task.pads_zeros:
        return []
    found = [_contender(task, "ONNX Runtime", integers=False)]
    if task.mode == "sum" and task.case.dtype == "uint8":
        found.append(_contender(task, "ONNX Runtime, ConvInteger", integers=True))
    return found


def _contender(task: Task, name: str, *, integers: bool) -> Contender:
    output_type = np.dtype("int32") if integers else task.real
    pixels = np.ascontiguousarray(np.moveaxis(task.pixels, -1, 1))  # (m, c, *space)
    m, *outputs, nc = task.output_shape
    out = np.empty((m, nc, *outputs), output_type)
    images = onnxruntime.OrtValue.ortvalue_from_numpy(pixels)  # no copies
    results = onnxruntime.OrtValue.ortvalue_from_numpy(out)
    session = _session(task, pixels, out, integers)
    binding = session.io_binding()
    binding.bind_ortvalue_input("images", images)
    binding.bind_ortvalue_output("results", results)

    def into() -> tuple[Any]:
        session.run_with_iobinding(binding)
        return (results,)

    return Contender(
        name,
        partial(session.run_with_ort_values, None, {"images": images}),
        lambda result: np.moveaxis(result[0].numpy(), 1, -1),
        into,
    )


def _session(task: Task, pixels: Array, out: Array, integers: bool) -> onnxruntime.InferenceSession:
    """The model, compiled."""
    plan = task.plan
    options: dict[str, Any] = {"kernel_shape": plan.window, "strides": plan.stride}
    options["dilations"] = plan.dilation
    options["pads"] = [cells for side in zip(*plan.padding, strict=True) for cells in side]
    nodes, inputs, constants = [], ["images"], []
    if pixels.dtype == np.uint8 and not integers:
        to = TYPES[task.real.name]
        nodes.append(helper.make_node("Cast", ["images"], ["floats"], to=to))
        inputs = ["floats"]
    if task.mode == "sum":
        taps = np.moveaxis(task.taps, (-1, -2), (0, 1)).astype("int8" if integers else task.real)
        constants.append(numpy_helper.from_array(np.ascontiguousarray(taps), "kernels"))
        inputs.append("kernels")
        operator, options["group"] = "ConvInteger" if integers else "Conv", plan.groups
    elif task.mode == "max":
        operator = "MaxPool"
    else:
        operator, options["count_include_pad"] = "AveragePool", int(task.count_padding)
        del options["dilations"]
    nodes.append(helper.make_node(operator, inputs, ["results"], **options))
    graph = helper.make_graph(
        nodes,
        "one operator",
        [helper.make_tensor_value_info("images", TYPES[pixels.dtype.name], pixels.shape)],
        [helper.make_tensor_value_info("results", TYPES[out.dtype.name], out.shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = THREADS, 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
