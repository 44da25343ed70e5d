"""T2Net: joint reconstruction and super-resolution with a task transformer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network.grids import FOLD
from iconet.network.rscfl import LocalUnit
from iconet.peers.edsr import shuffle_tail
from iconet.peers.peer import start_small

QUERIES = 4096  # cells whose relevance to all others is held in memory at a time


class T2Net(nn.Module):
    """A super-resolution branch that fetches features from a reconstruction branch.

    After Feng, Yan, Fu, Chen, Xu, "Task Transformer Network for Joint MRI Reconstruction and
    Super-Resolution", MICCAI 2021: after each pair of residual blocks the reconstruction
    branch's features most alike to what the other has at a place are copied there (hard
    attention), weighed by how alike they are (soft attention). One-way, no data consistency.

    Theirs compares every pixel with every other, 36 GB for one image of 300 x 300. Here cells of
    4 x 4 pixels are compared (means over them, 3 x 3 cells at a time, as theirs 3 x 3 pixels) and
    copied at full resolution. Parameters stay the same: 1.40 million for one channel at scale 2,
    two layers that theirs has and never uses left out. Images keep their intensities (theirs
    scales the input by r^2 and takes magnitudes after z-scores); residuals are not scaled by 0.1.

    Args:
        scale: 2, 4 or 8.
        channels: Channels of the image.
        width: Number of features in each branch.
        blocks: Number of residual blocks in each branch.
    """

    def __init__(self, scale: int, channels: int, *, width: int = 64, blocks: int = 8) -> None:
        super().__init__()
        self.head_sr = nn.Conv2d(channels, width, 5, padding=2)
        self.head_rec = nn.Conv2d(channels, width, 5, padding=2)
        self.sr_blocks = nn.ModuleList(LocalUnit(width) for _ in range(blocks))
        self.rec_blocks = nn.ModuleList(LocalUnit(width) for _ in range(blocks))
        self.merges = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for _ in range(blocks))
        self.tail_sr = shuffle_tail(scale, width, channels)
        self.tail_rec = start_small(nn.Conv2d(width, channels, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, c, H, W), sides multiples of 4, to the detail and the reconstruction's change."""
        sr, rec = self.head_sr(image), self.head_rec(image)
        shallow_sr, shallow_rec = sr, rec
        for sr_block, rec_block, merge in zip(
            self.sr_blocks, self.rec_blocks, self.merges, strict=True
        ):
            sr, rec = sr_block(sr), rec_block(rec)
            fetched, relevance = fetch(sr, rec)
            sr = sr + merge(torch.cat([sr, fetched], dim=1)) * relevance
        return self.tail_sr(sr + shallow_sr), self.tail_rec(rec + shallow_rec)


def fetch(asking: Tensor, answering: Tensor) -> tuple[Tensor, Tensor]:
    """Copy to each cell the features of the cell most alike to it, and say how alike they are.

    Args:
        asking: (B, C, H, W), sides multiples of 4: what the copies are for.
        answering: (B, C, H, W): what is copied.

    Returns:
        (B, C, H, W) copies, the mean over the 3 x 3 overlapping neighbourhoods of cells that hold
        a place; and (B, 1, H, W) cosines of asking and answering neighbourhoods.
    """
    batch, _, height, length = asking.shape
    h, w = height // FOLD, length // FOLD
    query, key = (
        F.normalize(F.unfold(F.avg_pool2d(x, FOLD), 3, padding=1), dim=1)
        for x in (asking, answering)
    )
    best = [(part.mT @ key).max(dim=2) for part in query.split(QUERIES, dim=2)]
    relevance = torch.cat([cosine for cosine, _ in best], dim=1).view(batch, 1, h, w)
    choice = torch.cat([index for _, index in best], dim=1).view(batch, h, w)

    # A cell lies in the neighbourhoods of 9 cells (fewer at the border, which answers twice); from
    # the choice of each it gets the cell that lies there as it does here.
    row = torch.arange(h, device=choice.device)[:, None]
    column = torch.arange(w, device=choice.device)
    sources = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            near_row, near_column = (row - down).clamp(0, h - 1), (column - right).clamp(0, w - 1)
            near = choice[:, near_row, near_column]
            there_row = (near // w + row - near_row).clamp(0, h - 1)
            there_column = (near % w + column - near_column).clamp(0, w - 1)
            sources.append(there_row * w + there_column)
    first = torch.arange(batch, device=choice.device).view(-1, 1, 1) * h * w
    bags = torch.stack([first + source for source in sources], dim=-1).view(-1, 9)
    cells = F.pixel_unshuffle(answering.float(), FOLD).permute(0, 2, 3, 1).flatten(0, 2)
    copies = F.embedding_bag(bags, cells, mode="mean").view(batch, h, w, -1).permute(0, 3, 1, 2)
    soft = F.interpolate(relevance, scale_factor=FOLD, mode="bilinear", align_corners=False)
    return F.pixel_shuffle(copies, FOLD).to(asking.dtype), soft
