"""The id of what turns a listing into tags and flags. Listings whose tags have another id are tagged again."""

import json
from dataclasses import asdict
from hashlib import blake2b

from models.engines.interface import EngineIdentity
from models.rules.noise.rules import NoiseRules

RULES = 2  # version of the code from features to tags and flags: raise it where the same features give others


def rules_id(version: str, weights: str, engine: EngineIdentity, noise: NoiseRules, certificate: str) -> str:
    """A hash of all that tags and flags depend on besides title, picture and labels. `weights`: SHA-256 of the model's;
    `certificate`: id of the feed's."""
    facts = [RULES, version, weights, asdict(engine), asdict(noise), certificate]
    return blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()
