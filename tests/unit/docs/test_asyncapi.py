"""The AsyncAPI document holds exactly what the catalogue declares."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, computed_field

from api.events import Catalogue, describe_asyncapi


class Item(BaseModel):
    sku: str
    count: int = 1


class Shipped(BaseModel):
    """An order left the house."""

    items: list[Item]
    carrier: Literal["post", "bike"] = Field(default="post", alias="by")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        return sum(item.count for item in self.items)


class Seen(BaseModel):
    """Somebody saw it."""


def described(**types: tuple[type[BaseModel], tuple[str, ...]]) -> dict[str, Any]:
    catalogue = Catalogue()
    for name, (model, topics) in types.items():
        catalogue.declare(name, model, topics=topics)
    return describe_asyncapi(catalogue, version="1", protocol="https", host="api.example")


def resolve(document: dict[str, Any], ref: dict[str, str]) -> Any:
    found: Any = document
    for name in ref["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def refs(value: Any) -> list[dict[str, str]]:
    if isinstance(value, dict):
        here = [value] if isinstance(value.get("$ref"), str) else []
        return here + [ref for one in value.values() for ref in refs(one)]
    return [ref for one in value for ref in refs(one)] if isinstance(value, list) else []


def test_without_declared_types_there_is_the_stream_alone() -> None:
    document = described()

    assert list(document["channels"]) == ["stream"]
    assert set(document["components"]["messages"]) == {"connected", "reset", "bye", "event"}


def test_every_reference_leads_somewhere() -> None:
    document = described(shipped=(Shipped, ("shop:*:orders", "all:**")), seen=(Seen, ("all:**",)))

    assert all(resolve(document, ref) for ref in refs(document))


def test_a_pattern_is_an_address_with_parameters() -> None:
    channels = described(shipped=(Shipped, ("shop:*:orders:**", "plain")))["channels"]
    by_address = {channel["address"]: channel for channel in channels.values()}

    assert set(by_address["shop:{segment2}:orders:{rest}"]["parameters"]) == {"segment2", "rest"}
    assert by_address["plain"]["parameters"] == {}


def test_types_of_one_pattern_share_a_channel() -> None:
    document = described(shipped=(Shipped, ("all:**",)), seen=(Seen, ("all:**",)))
    channel = next(one for one in document["channels"].values() if one["address"] == "all:{rest}")

    assert {"event.shipped", "event.seen"} <= set(channel["messages"])


def test_patterns_that_look_alike_have_channels_of_their_own() -> None:
    channels = described(seen=(Seen, ("a:*", "a:**", "a.b", "a:b", "a~b", "stream")))["channels"]

    assert len(channels) == 7


def test_one_reads_whole_events_and_publishes_drafts() -> None:
    document = described(shipped=(Shipped, ("all:**",)))
    messages = document["components"]["messages"]

    read, draft = messages["event.shipped"]["payload"], messages["draft.shipped"]["payload"]
    assert read["allOf"][0] == {"$ref": "#/components/schemas/EventView"}
    assert draft["required"] == ["type", "data"]


def test_what_the_model_computes_is_read_and_not_published() -> None:
    document = described(shipped=(Shipped, ("all:**",)))
    messages = document["components"]["messages"]
    read = messages["event.shipped"]["payload"]["allOf"][1]["properties"]["data"]
    draft = messages["draft.shipped"]["payload"]["properties"]["data"]

    assert set(resolve(document, read)["properties"]) == {"items", "by", "total"}
    assert set(resolve(document, draft)["properties"]) == {"items", "by"}


def test_clients_receive_what_the_server_sends() -> None:
    operations = described(shipped=(Shipped, ("all:**",)))["operations"]

    methods = {
        one["bindings"]["http"]["method"] for one in operations.values() if one["action"] == "send"
    }
    assert methods == {"GET"}
    assert {one["action"] for one in operations.values()} == {"send", "receive"}
