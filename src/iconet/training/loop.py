"""The training loop."""

import copy
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from iconet.data import Batch, Volume
from iconet.data.sampling import Sampler
from iconet.errors import InputError
from iconet.files import sha256_of
from iconet.network import ICONet, collaboration_loss
from iconet.physics.degradation import DegradationMix
from iconet.training.architecture import build
from iconet.training.checkpoint import load_checkpoint, save_checkpoint, write_safetensors
from iconet.training.initial_weights import begin_stages, start_from
from iconet.training.interruption import Interruption, stop_as
from iconet.training.loader import batches, spare_cores
from iconet.training.parts import make_optimizer, make_sampler, make_validation
from iconet.training.processes import (
    Consensus,
    ProcessesLost,
    agree,
    lightning,
    noticed,
    processes_here,
)
from iconet.training.recipe import Recipe
from iconet.training.reporter import Reporter
from iconet.training.schedule import finished_share, learning_rate, stages_in_training
from iconet.training.state import RunState, recipe_text, weights_metadata
from iconet.training.way import fit_way_of

SAVE_EVERY = 120.0  # seconds of training that a process killed at once may lose


class Loop:
    """One run of a recipe: the network, the average of its weights, and where the run stands.

    A checkpoint in the folder is resumed. Of several processes the first validates, writes and
    prints, for all.

    Args:
        fabric: This process's Lightning Fabric.
        recipe: What to train, and how.
        volumes: To learn from.
        validation_volumes: To choose the best weights by; the first process alone needs them.
        output: Folder of the results.

    Raises:
        InputError: If the recipe, its data or an earlier checkpoint cannot be used.
    """

    def __init__(
        self,
        fabric: Any,
        recipe: Recipe,
        volumes: list[Volume],
        validation_volumes: list[Volume],
        output: Path,
    ) -> None:
        self.fabric, self.recipe, self.output = fabric, recipe, output
        self.checkpoint = output / "checkpoint.safetensors"
        self.weights = output / f"{recipe.name}.safetensors"
        found = sha256_of(self.checkpoint) if self.checkpoint.exists() else "none"
        agree(fabric, recipe=recipe_text(recipe), scans=_digest(volumes), checkpoint=found)
        self.sampler = make_sampler(recipe, volumes, fabric.global_rank, fabric.world_size)
        lightning().seed_everything(recipe.seed, verbose=False)
        self.network = build(recipe.network, recipe.scale, recipe.task.channels)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.start_from:
            start_from(self.network, recipe.start_from, recipe.network.architecture)
        self.averaged = copy.deepcopy(self.network).to(fabric.device).eval()
        optimizer = make_optimizer(recipe, self.network)
        self.model, self.optimizer = fabric.setup(self.network, optimizer)
        self.newest: list[Tensor] = list(self.network.parameters())
        self.average: list[Tensor] = list(self.averaged.parameters())
        self.validation = make_validation(recipe, validation_volumes, fabric.device)
        if recipe.start_from and fabric.is_global_zero and not self.validation.pairs:
            raise InputError(
                f"start_from {recipe.start_from}: no validation scan could be used, so nothing "
                "would tell whether training makes it better; add some, or leave start_from out"
            )
        self.state = RunState(recipe=recipe_text(recipe))
        if found != "none":
            average = self.averaged.state_dict()
            saved = load_checkpoint(self.checkpoint, self.network, average, self.optimizer)
            self.state = RunState.resumed(saved, recipe, self.checkpoint)
        self.saved = self.state.elapsed

    def run(self, max_time: float | None) -> Path:
        """Train to the end of the recipe, or of ``max_time`` seconds if that comes sooner.

        Returns:
            The file of trained weights.

        Raises:
            InputError: If the folder cannot be written to, or the loss is not a number.
            KeyboardInterrupt: After Ctrl-C, the state being saved. After SIGTERM the process ends
                as it would have without being saved.
            ProcessesLost: If another process of the run is gone; the first saves before.
        """
        fabric, state = self.fabric, self.state
        clock = time.monotonic() - state.elapsed
        with noticed(fabric):
            consensus = Consensus(fabric.world_size)
        workers = spare_cores(fabric.device, processes_here(fabric))
        pin = fabric.device.type == "cuda"
        last = self.recipe.optimisation.steps
        loader = batches(self.sampler, state.step, last, workers=workers, pin=pin)
        with (
            Reporter(self.output) if fabric.is_global_zero else nullcontext() as reporter,
            Interruption() as interruption,
            closing(loader),
        ):
            if reporter:
                self._begin(reporter)
            try:
                stop = self._steps(reporter, interruption, consensus, loader, clock, max_time)
            except ProcessesLost:
                # Between two steps, or in one that has changed nothing yet.
                if reporter:
                    self._save()
                    reporter.saved(state.step)
                raise
        if stop:
            stop_as(stop)
        if fabric.is_global_zero:
            self._fit_way()
        return self.weights

    def _fit_way(self) -> None:
        """What the trained network answers tells how a scan lost its resolution, if it is told."""
        known = isinstance(self.network, ICONet) and self.network.way is not None
        if known and isinstance(self.sampler, Sampler):
            mix = self.sampler.mix
            if isinstance(mix, DegradationMix):
                fit_way_of(self.weights, self.sampler.volumes, mix, seed=self.recipe.seed)

    def _begin(self, reporter: Reporter) -> None:
        """Say where the run goes on; a run that starts from trained weights keeps the better."""
        state = self.state
        if state.step:
            reporter.resumed(state, self.recipe.optimisation.steps)
        elif self.recipe.start_from and state.start is None:
            self._validate(reporter)
            assert state.best is not None
            state.start = state.best["mean"]
            self._save()

    def _steps(
        self,
        reporter: Reporter | None,
        interruption: Interruption,
        consensus: Consensus,
        loader: Iterator[Batch],
        clock: float,
        max_time: float | None,
    ) -> int:
        """Step after step; returns the signal that ended them, or 0 when the run is over."""
        fabric, state, options = self.fabric, self.state, self.recipe.optimisation
        while True:
            step = state.step
            with noticed(fabric):
                state.elapsed, stop = consensus(time.monotonic() - clock, interruption.wanted)
            done = finished_share(step, options.steps, state.elapsed, max_time)
            due = (step > 0 and step % options.validate_every == 0) or done >= 1
            # Before the validation, which may take longer than a scheduler waits.
            if reporter and (due or stop or state.elapsed - self.saved >= SAVE_EVERY):
                self._save()
            if reporter and due and not stop:
                self._validate(reporter)
                self._save()
            if done >= 1 or stop:
                with noticed(fabric):
                    # The others are there until the first has written what it must.
                    fabric.barrier()
                if reporter and stop:
                    reporter.interrupted(step)
                elif reporter and state.start is not None:
                    reporter.tuned(state)
                return stop
            rate = learning_rate(options.learning_rate, step, options.warm_up, done)
            with noticed(fabric):
                loss = self._step(loader, rate, done)
            if reporter:
                reporter.step(step + 1, loss, rate, done, *state.throughput(options.batch))

    def _step(self, loader: Iterator[Batch], rate: float, done: float) -> Tensor:
        """Learn from the next batch, and let the average follow."""
        state, options = self.state, self.recipe.optimisation
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        begin = time.monotonic()
        batch = self.fabric.to_device(next(loader))
        state.waiting += time.monotonic() - begin
        # Layers that draw, such as dropout, draw the same after a run went on. Here, since a
        # loader draws when it begins.
        draws = f"{self.recipe.seed} {state.step} {self.fabric.global_rank}"
        torch.manual_seed(zlib.crc32(draws.encode()))
        intensity = torch.ones_like(batch.low[:, :1, :1, :1])
        part = self._grown(done) if options.grow else {}
        predicted = self.model(batch.low, intensity, samples=batch.samples, **part)
        loss = collaboration_loss(predicted, batch.clean, **self.recipe.loss.model_dump())
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        # Whether the norm is a number is not asked here, which would wait for the GPU.
        self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=options.clip, error_if_nonfinite=False
        )
        self.optimizer.step()
        decay = min(options.ema, (1 + state.step) / (10 + state.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.newest, 1 - decay)
        state.step += 1
        state.stepping += time.monotonic() - begin
        return loss

    def _grown(self, done: float) -> dict[str, int]:
        """How many stages to train now; a stage that joins begins as the one before it."""
        for network in (self.network, self.averaged):
            assert isinstance(network, ICONet)  # the recipe's schema has seen to it
            depth = stages_in_training(len(network.stages), self.recipe.optimisation.grow, done)
            if depth > self.state.depth:
                begin_stages(network, network.state_dict(), self.state.depth)
        self.state.depth = max(self.state.depth, depth)
        return {"depth": self.state.depth}

    def _validate(self, reporter: Reporter) -> None:
        """Write the averaged weights if they are the best so far."""
        state = self.state
        self._copy_buffers()
        scores = self.validation(self.averaged) if self.validation.pairs else {"mean": 0.0}
        reporter.validation(state.step, scores)
        # Without validation scans the newest weights are the best known.
        if state.best is None or scores["mean"] >= state.best["mean"]:
            state.best = {**scores, "step": state.step}
            metadata = weights_metadata(self.recipe, state, self.fabric)
            write_safetensors(self.averaged.state_dict(), self.weights, metadata)

    def _save(self) -> None:
        """Write the checkpoint, unless the network is lost and the one before is worth more."""
        if not all(bool(weights.isfinite().all()) for weights in self.newest):
            raise InputError(
                f"the weights are not numbers at step {self.state.step}; lower "
                "optimisation.learning_rate and begin in another folder"
            )
        self._copy_buffers()
        average, state = self.averaged.state_dict(), asdict(self.state)
        save_checkpoint(self.checkpoint, self.network, average, self.optimizer, state)
        self.saved = self.state.elapsed

    def _copy_buffers(self) -> None:
        """Statistics that layers keep, such as those of batches, go with the averaged weights."""
        for averaged, newest in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
            averaged.copy_(newest)


def _digest(volumes: list[Volume]) -> str:
    shapes = [(volume.name, tuple(volume.slices.shape)) for volume in volumes]
    return f"{zlib.crc32(repr(shapes).encode()):08x} of {len(shapes)}"
