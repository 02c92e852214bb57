"""The model of a supergraph: types, fields, and who resolves what. `supergraph_reader` reads it; it plans nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from graphql import DocumentNode, NamedTypeNode, SelectionSetNode, TypeNode


class SupergraphInvalid(ValueError):
    """The text is no supergraph that this engine can serve. The message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldJoin:
    """How one subgraph holds a field."""

    external: bool = False
    requires: SelectionSetNode | None = None
    provides: SelectionSetNode | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """That `subgraph` takes a field over from `source`; with a label only while that is switched on."""

    subgraph: str
    source: str
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldModel:
    """A field of the supergraph, and the subgraphs that hold it. None of them: it comes from an interface object."""

    name: str
    type: TypeNode
    arguments: Mapping[str, TypeNode]
    joins: Mapping[str, FieldJoin]
    overrides: tuple[Override, ...] = ()

    def under(self, labels: frozenset[str]) -> FieldModel:
        """The field as it is resolved while these labels are switched on."""
        joins = dict(self.joins)
        for item in self.overrides:
            loser = item.source if item.label is None or item.label in labels else item.subgraph
            if loser in joins:  # it stays there for keys only
                joins[loser] = FieldJoin(external=True, type=joins[loser].type)
        return replace(self, joins=joins)

    @property
    def type_name(self) -> str:
        """The name of its type, without list and non-null."""
        return named_type(self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeJoin:
    """How one subgraph holds a type. `keys` are those by which it can be entered, in the order of the text."""

    keys: tuple[SelectionSetNode, ...]
    is_interface_object: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeModel:
    """A type of the supergraph. `interfaces` and `members` are per subgraph."""

    name: str
    kind: str
    joins: Mapping[str, TypeJoin]
    fields: Mapping[str, FieldModel]
    interfaces: Mapping[str, frozenset[str]]
    members: Mapping[str, frozenset[str]]
    input_fields: Mapping[str, TypeNode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supergraph:
    """The whole model. `subgraphs` maps a subgraph's name to its address as composed."""

    document: DocumentNode
    subgraphs: Mapping[str, str]
    types: Mapping[str, TypeModel]
    roots: Mapping[str, str]
    possible: Mapping[str, frozenset[str]] = field(repr=False)

    @property
    def labels(self) -> frozenset[str]:
        """The labels of progressive overrides."""
        fields = (item for model in self.types.values() for item in model.fields.values())
        return frozenset(item.label for model in fields for item in model.overrides if item.label is not None)

    def under(self, labels: frozenset[str]) -> Supergraph:
        """Who resolves what while these labels are switched on."""
        types = {
            name: replace(model, fields={key: item.under(labels) for key, item in model.fields.items()})
            if any(item.overrides for item in model.fields.values())
            else model
            for name, model in self.types.items()
        }
        return replace(self, types=types)

    def is_abstract(self, type_name: str) -> bool:
        """Whether the type is an interface or a union."""
        return self.types[type_name].kind in ("interface", "union")

    def is_composite(self, type_name: str) -> bool:
        """Whether the type has fields to select."""
        return type_name in self.types and self.types[type_name].kind in ("object", "interface", "union")

    def field(self, type_name: str, field_name: str) -> FieldModel:
        """The field. Raises SupergraphInvalid where there is none, which no valid document can ask for."""
        found = self.types[type_name].fields.get(field_name)
        if found is None:
            raise SupergraphInvalid(f"{type_name} has no field {field_name}")
        return found


def named_type(node: TypeNode) -> str:
    """The name inside list and non-null wrappers."""
    while not isinstance(node, NamedTypeNode):
        node = node.type  # type: ignore[attr-defined]
    return node.name.value
