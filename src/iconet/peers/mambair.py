"""A state-space network of the MambaIR kind, with a scan that plain PyTorch can do in blocks."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iconet.peers.peer import start_small
from iconet.peers.rcan import ChannelAttention

BLOCK = 16  # positions that are related by one matrix; between blocks a state is handed on
STATES = 256  # blocks whose states are related by one matrix


class MambaIR(nn.Module):
    """Every position gets what a scan along rows and columns, both ways, remembers of the image.

    The layout is that of MambaIR-light in Guo, Li, Dai, Ouyang, Ren, Xia, "MambaIR: A Simple
    Baseline for Image Restoration with State-Space Model", ECCV 2024 (905 thousand parameters for
    colour images at scale 2). Its scan forgets at a rate of its own for every channel and every
    number of the state, and needs a CUDA kernel: in plain PyTorch it passes tensors of channels x
    states x positions x directions through memory many times. Here a head of channels shares one
    rate, which turns the scan into products of small matrices (Dao, Gu, "Transformers are SSMs",
    ICML 2024; equation 16), about the cost of window attention.

    Args:
        scale: 2, 4 or 8.
        channels: Channels of the image.
        width: Number of features.
        groups: Number of residual groups.
        blocks: Number of state-space blocks in each.
    """

    def __init__(
        self, scale: int, channels: int, *, width: int = 60, groups: int = 4, blocks: int = 6
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.norm_first = nn.LayerNorm(width)
        self.groups = nn.ModuleList(Group(width, blocks) for _ in range(groups))
        self.norm_last = nn.LayerNorm(width)
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.tail = start_small(nn.Conv2d(width, channels * scale**2, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, c, H, W) to (B, c, scale H, scale W)."""
        shallow = self.head(image)
        x = self.norm_first(_last(shallow))
        for group in self.groups:
            x = group(x)
        x = shallow + self.body(_first(self.norm_last(x)))
        return F.pixel_shuffle(self.tail(x), self.scale)


class Group(nn.Module):
    """State-space blocks and a convolution, residual; (B, H, W, C) to the same shape."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(StateSpaceBlock(width) for _ in range(blocks)))
        self.convolve = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        return x + _last(self.convolve(_first(self.blocks(x))))


class StateSpaceBlock(nn.Module):
    """The scan for what is far, convolutions and channel attention for what is near."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_far, self.norm_near = nn.LayerNorm(width), nn.LayerNorm(width)
        self.far = Scan2D(width)
        half = width // 2
        self.near = nn.Sequential(
            nn.Conv2d(width, half, 1),
            nn.Conv2d(half, half, 3, padding=1, groups=half),
            nn.GELU(),
            nn.Conv2d(half, width, 1),
            nn.Conv2d(width, width, 3, padding=2, dilation=2, groups=width),
            ChannelAttention(width, width // 30),
        )
        self.keep_far = nn.Parameter(torch.ones(width))
        self.keep_near = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        x = x * self.keep_far + self.far(self.norm_far(x))
        return x * self.keep_near + _last(self.near(_first(self.norm_near(x))))


class Scan2D(nn.Module):
    """Selective scans along rows and columns, forwards and backwards, summed.

    Args:
        width: Number of channels in and out.
        heads: Groups of channels that forget at one rate.
        states: Numbers that the scan remembers for each channel.
    """

    def __init__(self, width: int, heads: int = 4, states: int = 16) -> None:
        super().__init__()
        inner = width * 6 // 5
        self.heads, self.states = heads, states
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        self.near = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        bound = inner**-0.5  # as a linear layer starts
        self.select = nn.Parameter(
            torch.empty(4, inner, heads + 2 * states).uniform_(-bound, bound)
        )
        # Initialisation as in Mamba: steps from 0.001 to 0.1, rates from 1 to 16.
        step = torch.exp(torch.empty(4, heads).uniform_(math.log(1e-3), math.log(0.1)))
        self.step = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # before softplus
        self.rate = nn.Parameter(torch.linspace(0, math.log(16), heads).repeat(4, 1))  # logarithm
        self.skip = nn.Parameter(torch.full((inner,), 4.0))  # one for each direction
        self.norm = nn.LayerNorm(inner)
        self.leave = nn.Linear(inner, width, bias=False)
        for layer in (self.enter, self.leave):
            nn.init.trunc_normal_(layer.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        x, gate = self.enter(x).chunk(2, dim=-1)
        x = _last(F.silu(self.near(_first(x))))
        paths = self._paths(x)
        step, write, read = (paths @ self.select).split(
            [self.heads, self.states, self.states], dim=-1
        )
        step = F.softplus(step.float() + self.step[:, None])
        remembered = selective_scan(
            paths.unflatten(-1, (self.heads, -1)).transpose(2, 3),
            step.mT,
            -torch.exp(self.rate.float()),
            write,
            read,
        )
        y = self._unpath(remembered.transpose(2, 3).flatten(3), *x.shape[1:3]) + x * self.skip
        left: Tensor = self.leave(self.norm(y) * F.silu(gate))
        return left

    @staticmethod
    def _paths(x: Tensor) -> Tensor:
        """(B, H, W, C) to (B, 4, HW, C): along rows, along columns, and both backwards."""
        ways = torch.stack([x.flatten(1, 2), x.transpose(1, 2).flatten(1, 2)], dim=1)
        return torch.cat([ways, ways.flip(2)], dim=1)

    @staticmethod
    def _unpath(y: Tensor, height: int, width: int) -> Tensor:
        """The way back, (B, 4, HW, C) to (B, H, W, C), summed over the directions."""
        rows, columns = (y[:, :2] + y[:, 2:].flip(2)).unbind(1)
        columns = columns.unflatten(1, (width, height)).transpose(1, 2)
        return rows.unflatten(1, (height, width)) + columns


def selective_scan(x: Tensor, step: Tensor, rate: Tensor, write: Tensor, read: Tensor) -> Tensor:
    """Scan sequences with a state that is written to, read and forgotten as the content says.

    ::

        h_t = exp(step_t rate) h_(t-1) + step_t x_t write_t^T        y_t = h_t read_t

    Args:
        x: (B, K, heads, L, P) inputs, for K directions.
        step: (B, K, heads, L), positive, float32.
        rate: (K, heads), negative.
        write: (B, K, L, N).
        read: (B, K, L, N).

    Returns:
        y, (B, K, heads, L, P).
    """
    length = x.shape[3]
    missing = -length % BLOCK  # steps of zero at the end change nothing
    step = F.pad(step, (0, missing)).unflatten(-1, (-1, BLOCK))  # (B, K, heads, n, BLOCK)
    x, write, read = (F.pad(tensor, (0, 0, 0, missing)) for tensor in (x, write, read))
    x = x.unflatten(-2, (-1, BLOCK))
    write, read = (t[:, :, None].unflatten(-2, (-1, BLOCK)) for t in (write, read))

    # Exponents in float32; what they make goes on in the precision of the features.
    decay = step * rate[..., None, None]
    passed = decay.cumsum(-1)
    left = (torch.exp(passed[..., -1:] - passed) * step).to(x)[..., None]  # at the block's end
    weights = (decay_matrix(decay) * step[..., None, :]).to(x)
    within = (weights * (read @ write.mT)) @ x
    written = (x * left).mT @ write  # (B, K, heads, n, P, N): what each block adds to the state
    ends = recurrence(passed[..., -1], written.flatten(-2)).view(written.shape)
    before = F.pad(ends[..., :-1, :, :], (0, 0, 0, 0, 1, 0))
    earlier = (read @ before.mT) * torch.exp(passed).to(x)[..., None]
    return (within + earlier).flatten(3, 4)[..., :length, :]


def recurrence(decay: Tensor, values: Tensor) -> Tensor:
    """``h_t = exp(decay_t) h_(t-1) + values_t``, block after block.

    Args:
        decay: (..., T), not positive.
        values: (..., T, D).

    Returns:
        h, (..., T, D).
    """
    length = decay.shape[-1]
    if length <= STATES:
        return decay_matrix(decay).to(values) @ values
    missing = -length % STATES
    decay = F.pad(decay, (0, missing)).unflatten(-1, (-1, STATES))
    values = F.pad(values, (0, 0, 0, missing)).unflatten(-2, (-1, STATES))
    local = decay_matrix(decay).to(values) @ values
    passed = decay.cumsum(-1)
    ends = recurrence(passed[..., -1], local[..., -1, :])
    before = F.pad(ends[..., :-1, :], (0, 0, 1, 0))[..., None, :]
    h = local + torch.exp(passed).to(values)[..., None] * before
    return h.flatten(-3, -2)[..., :length, :]


def decay_matrix(decay: Tensor) -> Tensor:
    """(..., T) to (..., T, T): what is left at t (row) of what came at s (column), 0 if s > t."""
    passed = decay.cumsum(-1)
    future = torch.ones(2 * decay.shape[-1:], dtype=torch.bool, device=decay.device).triu(1)
    return torch.exp((passed[..., None] - passed[..., None, :]).masked_fill(future, -math.inf))


def _last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)
