"""A trained model in its folder. Opening one reads its card only: PyTorch comes with the network or an engine."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from models.engines.interface import ONNX, EngineIdentity, InferenceEngine, Predictions, reference_identity
from models.engines.table import ENGINES, REFERENCE, EngineName, candidates
from models.lifecycle.card import ModelCard, read_card, write_card
from models.lifecycle.engine_card import EngineCard
from models.rules.certificates import Certificates
from models.rules.identity import rules_id
from schemas.errors import UserError
from schemas.files import sha256_of

if TYPE_CHECKING:
    import torch

    from models.engines.encoded_listings import EncodedListings
    from models.inputs.examples import Examples
    from models.inputs.preprocessing import Processor
    from models.network.cma_clip import CmaClip
    from models.rules.tags import TagRules


class ChosenEngine(NamedTuple):
    """The engine that tags here. `fallback` says why the first choice may not; None: it is the first choice."""

    name: EngineName
    fallback: str | None


class Model:
    """The card, the network, the engines and the certificates of a trained model.

    Engine cards are read once: an engine that another process compiles later is seen by the next `Model.open`.
    """

    def __init__(self, folder: Path, card: ModelCard) -> None:
        self.folder = folder
        self.card = card
        self._engine_cards: dict[str, EngineCard | None] = {}

    @classmethod
    def open(cls, folder: Path) -> "Model":
        """The model in `folder`. UserError where there is none, or its card is damaged."""
        return cls(folder, read_card(folder))

    @property
    def version(self) -> str:
        return self.card.version

    @cached_property
    def network(self) -> "CmaClip":
        """The network with its trained weights, on the CPU, ready to infer. UserError where the weights are damaged."""
        from models.lifecycle.weights import load_network

        return load_network(self.folder, self.card)

    def processor(self) -> "Processor":
        """Turns pictures and titles into the arrays that the network reads."""
        from models.inputs.preprocessing import Processor

        return Processor(
            backbone=self.card.preset.architecture.backbone,
            image_size=self.card.image_size,
            context_length=self.card.context_length,
            trims_titles=self.card.trims_titles,
        )

    def engine_card(self, engine: str) -> EngineCard | None:
        """The card that `cma compile` wrote for an engine; None where it is not compiled."""
        if engine not in self._engine_cards:
            self._engine_cards[engine] = EngineCard.read(self.folder, engine)
        return self._engine_cards[engine]

    def write_engine_card(self, card: EngineCard) -> None:
        card.write(self.folder)
        self._engine_cards[card.backend] = card

    def choose_engine(self, name: EngineName) -> ChosenEngine:
        """The first engine that `tag.engine` allows and that may tag on this machine; the last allowed where none may.
        An engine that is asked for by name is chosen in any case."""
        *preferred, last = candidates(name)
        reasons: list[str] = []
        for engine in preferred:
            reason = self.reason_against(engine)
            if reason is None:
                return ChosenEngine(engine, "; ".join(reasons) or None)
            reasons.append(f"the {engine} engine {reason}")
        return ChosenEngine(last, "; ".join(reasons) or None)

    def reason_against(self, engine: EngineName) -> str | None:
        """Why the engine may not tag on this machine, as the end of a sentence; None: it may. The reference engine,
        `torch`, always may."""
        if engine == REFERENCE:
            return None
        built = self.engine_card(engine)
        if built is None:
            return "has not been compiled"
        if built.weights != self.card.weights:
            return "was compiled from other weights"
        if not built.gate.passed:
            return f"failed its gate ({built.gate})"
        here = ENGINES[engine].load().identity_here(self, built.identity)
        if here != built.identity:
            return f"was compiled and certified as {built.identity}, but this is {here}"
        file = self.folder / "engines" / ONNX
        if built.onnx and not (file.exists() and sha256_of(file) == built.onnx):
            return f"has lost its network: {file} is missing, or not the file that was exported"
        return None

    def restore_network(self, engine: EngineName) -> Path | None:
        """Exports the network again where the file that a compiled engine reads is missing or damaged. Returns its path
        where it is again the file that passed the gate; None where there was nothing to do, or it is another file."""
        built, file = self._current_card(engine), self.folder / "engines" / ONNX
        if not (built and built.onnx) or (file.exists() and sha256_of(file) == built.onnx):
            return None
        from models.engines.onnx.export import export_onnx

        export_onnx(self.network, file)
        return file if sha256_of(file) == built.onnx else None

    def open_engine(self, name: EngineName, *, threads: int) -> tuple[InferenceEngine, Certificates]:
        """The engine to tag with, and its certificates. A compiled engine that is missing, outdated, of another machine
        or failed its gate is replaced by the next under `auto`, and is a UserError where it was asked for by name."""
        engine = self.require_engine(name)
        if engine == REFERENCE:
            return self.reference_engine(), self.certificates(engine)
        opened = ENGINES[engine].load().open(self, self.engine_identity(engine), threads=threads)
        return opened, self.certificates(engine)

    def require_engine(self, name: EngineName) -> EngineName:
        """The name of the engine that `open_engine` opens; UserError as there."""
        engine = self.choose_engine(name).name
        if name != "auto" and (reason := self.reason_against(engine)):
            raise UserError(
                f"the {engine} engine of model {self.version} {reason}: run `cma compile`, or set tag.engine"
            )
        return engine

    def reference_engine(self, device: "torch.device | str" = "cpu") -> InferenceEngine:
        """The network in PyTorch and float32, which compiled engines are compared with. Moves the network there."""
        from models.engines.torch_engine import TorchEngine

        return TorchEngine(self.network.to(device))

    def engine_identity(self, engine: EngineName) -> EngineIdentity:
        """The identity that a chosen engine was built under."""
        built = self.engine_card(engine)
        return built.identity if built and engine != REFERENCE else reference_identity()

    def certificates(self, engine: str) -> Certificates:
        """The certificates made on this engine's outputs; until `torch` is compiled, the ones that training made."""
        built = self._current_card(engine)
        return built.certificates if built else self.card.certificates

    def store_certificates(self, engine: str, certificates: Certificates) -> None:
        """Replaces the engine's certificates, in one step."""
        if built := self._current_card(engine):
            self.write_engine_card(replace(built, certificates=certificates))
        else:
            self.card = replace(self.card, certificates=certificates)
            write_card(self.card, self.folder)

    def encoder_key(self, engine: EngineName) -> str:
        """The cache key of the features that this model makes on an engine; see `models.lifecycle.weights`."""
        from models.lifecycle.weights import encoder_key

        return encoder_key(self.folder, self.card, self.engine_identity(engine))

    def rules_id(self, engine: EngineName, certificate: str) -> str:
        """The id of all that this model's tags and flags depend on besides the listing, under a feed's certificate."""
        card = self.card
        return rules_id(card.version, card.weights, self.engine_identity(engine), card.noise, certificate)

    def predict(self, engine: InferenceEngine, examples: "Examples") -> Predictions:
        """What the heads answer for `examples`, whose features the engine computes."""
        from models.engines.features import classify, encode

        return classify(self.network, encode(engine, examples), examples.present)

    def answer(self, listings: "EncodedListings") -> Predictions:
        """What the heads answer for listings that are encoded already."""
        from models.engines.features import classify

        return classify(self.network, listings.features, listings.present)

    def tag_rules(self, certificates: Certificates) -> "TagRules":
        """What runs after the engine: heads, certificates and noise rules."""
        from models.rules.tags import TagRules

        return TagRules(self.network, self.card.taxonomy, self.card.noise, certificates)

    def _current_card(self, engine: str) -> EngineCard | None:
        built = self.engine_card(engine)
        return built if built and built.weights == self.card.weights else None
