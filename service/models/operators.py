"""What a generator may compute: the operators, the types of numbers, and the settings of operators.

A list of what is allowed, as nobody can list what is not: files, strings, random numbers, sequences, loops
and branches, lookups of unbounded size, and whatever the next release of ONNX brings.
"""

from __future__ import annotations

from onnx import TensorProto

DOMAINS = frozenset({"", "ai.onnx"})
OPERATOR_SETS = range(11, 31)

_ELEMENTWISE = """
Abs Add And Cast CastLike Ceil Celu Clip Cos Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual
HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mul Neg Not Or
PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt Sub Sum Tanh ThresholdedRelu
Where Xor
"""
_LAYERS = """
AveragePool BatchNormalization Conv ConvTranspose Gemm GlobalAveragePool GlobalMaxPool
GroupNormalization InstanceNormalization LayerNormalization LogSoftmax LpNormalization MatMul MaxPool
RMSNormalization ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
ReduceSum ReduceSumSquare Softmax
"""
_ARRANGEMENT = """
Concat Constant ConstantOfShape DepthToSpace Expand Flatten Gather Pad Range Reshape Resize Shape Size Slice
SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze Upsample
"""

OPERATORS = frozenset(f"{_ELEMENTWISE} {_LAYERS} {_ARRANGEMENT}".split())

RANDOM_OPERATORS = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
"""Refused with a reason of their own: the latent is an input, and an image is a pure function of it."""

TYPE_BYTES: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.DOUBLE: 8,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.UINT8: 1,
    TensorProto.INT8: 1,
    TensorProto.BOOL: 1,
}
"""The types of numbers that a graph may hold, by the bytes of one."""

INTEGERS: frozenset[int] = frozenset(
    {TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8, TensorProto.INT8}
)


def _name(kind: int) -> str:
    return str(TensorProto.DataType.Name(kind)).lower()


TYPES = ", ".join(sorted(_name(kind) for kind in TYPE_BYTES))
"""The same as a sentence names them."""

COUNTS = frozenset(
    {"blocksize", "dilations", "group", "kernel_shape", "num_groups", "num_outputs", "strides"}
)
"""Settings that something is divided by or counted with."""
MOST_OF_A_COUNT = 2**16
