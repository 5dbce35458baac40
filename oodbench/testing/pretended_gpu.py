"""A pretended GPU: tensors that are computed on the CPU, and refuse to mix with others as on a GPU.

The tensors say that they are on the device ``meta``, the only one besides the CPU that needs no
driver. Unlike PyTorch's own meta and fake tensors they have values, so that code that reads one
(``item``, a comparison) goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import import_module
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map

DEVICE = "meta"

_aten = torch.ops.aten

_BETWEEN_DEVICES = {_aten.copy_.default, _aten._to_copy.default}

_INDEXING = {
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
}
"""Operations on a tensor of a GPU whose indices, the second argument, may be on the CPU."""


@contextmanager
def pretended_gpu() -> Iterator[str]:
    """Pretend within the block that there is a GPU, and give the name of its device.

    An operation on tensors of both devices raises the `RuntimeError` that it raises on a GPU, and
    so does a random generator of another device. What is slow there goes unnoticed.
    """
    with ExitStack() as stack:
        stack.enter_context(mock.patch("torch.Generator", _Generator))
        stack.enter_context(mock.patch("torch.autocast", _autocast))
        stack.enter_context(mock.patch("torch.is_autocast_enabled", _is_autocast_enabled))
        stack.enter_context(mock.patch.object(_OPTIMIZER, _FUSED.__name__, _fused_on))
        stack.enter_context(_Computation())  # type: ignore[no-untyped-call]
        stack.enter_context(_Calls())
        yield DEVICE


class _OnGpu(Tensor):
    """A tensor of the pretended GPU; ``held`` has its values, on the CPU."""

    held: Tensor
    is_meta = False  # so that nothing takes it for a tensor without values

    @staticmethod
    def __new__(cls, held: Tensor) -> _OnGpu:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=torch.device(DEVICE),
        )
        made.held = held
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{self.held!r} on a pretended GPU"

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None  # a wrapper of one tensor, by which modules can be moved

    @staticmethod
    def __tensor_unflatten__(parts: Mapping[str, Tensor], *_: Any) -> _OnGpu:
        return _OnGpu(parts["held"])

    def tolist(self) -> Any:
        return self.detach().held.tolist()  # type: ignore[attr-defined]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[Any, Any] | None = None,
    ) -> Any:
        return _compute(func, args, kwargs or {})


class _Computation(TorchDispatchMode):
    """Computes every operation within the block, so that new tensors can be on the GPU, too."""

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return what an operation gives, on the device where a GPU would leave it."""
    on_gpu = any(isinstance(each, _OnGpu) for each in tree_iter((args, kwargs)))
    if on_gpu:
        _check_devices(func, args, kwargs)
    held_args, held_kwargs = tree_map(_held, (args, kwargs))
    if kwargs.get("device") is not None:
        on_gpu = torch.device(kwargs["device"]).type == DEVICE
        held_kwargs["device"] = torch.device("cpu")
    elif func is _aten.copy_.default:
        on_gpu = isinstance(args[0], _OnGpu)
    result = func(*held_args, **held_kwargs)
    if func is _aten.copy_.default:
        return args[0]
    if not on_gpu or func is _aten._local_scalar_dense.default:
        return result
    result = tree_map(lambda each: _OnGpu(each) if isinstance(each, Tensor) else each, result)
    return return_and_correct_aliasing(func, args, kwargs, result)


def _held(value: object) -> object:
    if isinstance(value, _OnGpu):
        return value.held
    if isinstance(value, Tensor) and value.device.type == DEVICE:
        raise NotImplementedError("the pretended GPU lost the values of a tensor")
    return value


def _check_devices(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Raise an error if tensors are on both devices; one number may be, and indices."""
    if func in _BETWEEN_DEVICES:
        return
    indexed = func in _INDEXING and isinstance(args[0], _OnGpu)
    counted = (args[0], *args[2:]) if indexed else (args, kwargs)
    found = {
        isinstance(each, _OnGpu)
        for each in tree_iter(counted)
        if isinstance(each, Tensor) and each.dim() > 0
    }
    if len(found) > 1:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {func} got some on the GPU "
            "and some on the CPU"
        )


class _Generator(torch.Generator):
    """A random generator that knows on which device it is."""

    where: torch.device

    def __new__(cls, device: str | torch.device = "cpu") -> _Generator:
        made = super().__new__(cls, "cpu")  # type: ignore[call-arg]
        made.where = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.where


class _Calls(TorchFunctionMode):
    """What a GPU does before an operation: move new tensors there, and check random generators."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [each for each in tree_iter(args) if isinstance(each, Tensor)]
        device = torch.device(kwargs.get("device") or next((t.device for t in tensors), "cpu"))
        if func in (torch.tensor, torch.as_tensor):  # PyTorch copies their values unnoticed
            made = func(*args, **{**kwargs, "device": torch.device("cpu")})
            return made.to(device) if kwargs.get("device") else made
        if func in (Tensor.__getitem__, Tensor.__setitem__):  # and so it does with lists of indices
            args = (args[0], _as_tensors(args[1]), *args[2:])
        if func == _SET_DATA and args[0].device != args[1].device:
            moved = torch.nn.Parameter(args[1], requires_grad=args[0].requires_grad)
            return torch.utils.swap_tensors(args[0], moved)
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type != device.type:
            raise RuntimeError(
                f"Expected a '{device.type}' device type for generator but found "
                f"'{generator.device.type}'"
            )
        return func(*args, **kwargs)


def _as_tensors(index: Any) -> Any:
    """Return an index with tensors in place of lists of positions."""
    if isinstance(index, tuple):
        return tuple(
            torch.tensor(each) if isinstance(each, list | tuple) else each for each in index
        )
    return torch.tensor(index) if isinstance(index, list) else index


def _autocast(device_type: str, *args: Any, **kwargs: Any) -> Any:
    """Return the context of mixed precision, which the pretended GPU does not have."""
    return nullcontext() if device_type == DEVICE else _AUTOCAST(device_type, *args, **kwargs)


def _is_autocast_enabled(device_type: str) -> bool:
    return device_type != DEVICE and _IS_AUTOCAST_ENABLED(device_type)


def _fused_on() -> list[str]:
    return [*_FUSED(), DEVICE]


_AUTOCAST = torch.autocast
_OPTIMIZER: Any = import_module("torch.optim.optimizer")
_IS_AUTOCAST_ENABLED = torch.is_autocast_enabled
_FUSED = _OPTIMIZER._get_fused_kernels_supported_devices
_SET_DATA = Tensor.data.__set__  # type: ignore[attr-defined]
