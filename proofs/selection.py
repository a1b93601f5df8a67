"""Which theorems and contracts are meant: by a text, a rule, a subject, an operation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from proofs.catalogue import THEOREMS, module_of
from proofs.crosshair import contract_modules
from proofs.theorem import Theorem


class NothingMeant(ValueError):
    """No theorem is meant; the message says what there is."""


@dataclass(frozen=True)
class Selection:
    """What is meant. All conditions that are given must be met; of the values of one, one is enough.

    `text` is a part of an id or a sentence (case does not matter), `rules` are the first words of rule ids
    (`VHOST.LOG`), `subjects` the first word of theorem ids (`TWOSETS`) or the names of their modules (`two_sets`),
    `operations` are names of operations (`set_region`), `ids` are ids.
    """

    text: str | None = None
    rules: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()

    def theorems(self) -> tuple[Theorem, ...]:
        """The theorems that are meant, in the order of the catalogue. There may be none."""
        return tuple(theorem for theorem in THEOREMS if self._means(theorem))

    def _means(self, theorem: Theorem) -> bool:
        return (
            (not self.ids or theorem.id in self.ids)
            and (self.text is None or self.text.lower() in f"{theorem.id} {theorem.sentence}".lower())
            and (not self.rules or any(begins(rule, part) for rule in theorem.rules for part in self.rules))
            and (not self.subjects or bool({part.lower() for part in self.subjects} & subjects_of(theorem)))
            and (not self.operations or bool(set(self.operations) & set(theorem.operations)))
        )

    def contracts(self) -> tuple[str, ...]:
        """The modules of contracts that are meant. They speak of no rule and no operation."""
        if self.rules or self.subjects or self.operations or self.ids:
            return ()
        return tuple(name for name in contract_modules() if self.text is None or self.text.lower() in name)

    def require_any(self) -> None:
        """Raise NothingMeant unless something is meant."""
        known = (
            ("rule", self.rules, families(rule for theorem in THEOREMS for rule in theorem.rules)),
            ("subject", self.subjects, sorted({theorem.id.split(".")[0] for theorem in THEOREMS})),
            ("operation", self.operations, sorted({name for theorem in THEOREMS for name in theorem.operations})),
        )
        for what, asked, there in known:
            for one in asked:
                alone = Selection(**{f"{what}s": (one,)})  # type: ignore[arg-type]
                if not alone.theorems():
                    raise NothingMeant(f"no theorem is about the {what} {one}; there are: {', '.join(there)}")
        if not self.theorems() and not self.contracts():
            if self.text is None:
                raise NothingMeant("no theorem meets all of these conditions; each is met by some")
            where = "its id or its sentence" + (
                "" if Selection(self.text) == self else " and meets the other conditions"
            )
            where += self._near()
            raise NothingMeant(f"no theorem has {self.text!r} in {where}: `gpaspec prove --list` shows all")

    def _near(self) -> str:
        """The ids that look like the text, for one who wrote one wrong."""
        near = get_close_matches((self.text or "").upper(), [theorem.id for theorem in THEOREMS])
        return f" (near it: {', '.join(near)})" if near else ""


def begins(rule: str, part: str) -> bool:
    """Whether a rule's id is this or begins with these words."""
    return f"{rule}.".startswith(f"{part.upper().rstrip('.')}.")


def families(rules: Iterable[str]) -> Sequence[str]:
    """The first two words of rule ids, each once."""
    return sorted({".".join(rule.split(".")[:2]) for rule in rules})


def subjects_of(theorem: Theorem) -> set[str]:
    """The names of a theorem's subject, in lower case: the first word of its id, and its module's name."""
    return {theorem.id.split(".")[0].lower(), module_of(theorem.id).rpartition(".")[2]}
