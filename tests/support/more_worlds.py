"""The records behind three more supergraphs: nulls and failures, objects of many kinds, long chains of needs.

Every value is made from its number, so that two runs see the same world.
"""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]
World = dict[str, Any]


def streets_world() -> World:
    """Streets with houses and plots, in which much is null, and some fails where it may not be null."""
    records: list[Record] = []
    city = {"__typename": "City", "code": "L"}
    keepers = [
        {"__typename": "Keeper", "name": "Ana" if number else ValueError("nobody knows"), "phone": None}
        for number in range(2)
    ]
    plots = [_plot(number, keepers) for number in range(4)]
    streets = [_street(number, city, keepers, plots) for number in range(4)]
    for keeper in keepers:
        keeper["keeps"] = [plots[0], plots[3]]
    for number, plot in enumerate(plots):
        plot["street"] = streets[(number + 1) % 4] if number != 3 else None
    records += [*plots, *streets]
    houses = [house for street in streets for house in street["houses"] if house is not None]
    for number, house in enumerate(houses):
        house["on"] = streets[number % 3]
    return {
        "records": records,
        "Query": {
            "streets": streets,
            "street": lambda name=None: next((item for item in streets if item["name"] == name), None),
            "grid": [[plots[0], None], None, [plots[1], plots[2]]],
            "corner": plots[2],
            "square": [streets[:2], streets[2:]],
            "houses": houses,
        },
    }


def _plot(number: int, keepers: list[Record]) -> Record:
    return {
        "__typename": "Plot",
        "id": f"p{number}",
        "area": 100 * number,
        "house": _house(number) if number % 2 else None,
        "keeper": keepers[number % 2] if number != 2 else None,
        "worth": number if number != 1 else ValueError("not assessed"),
    }


def _house(number: int) -> Record:
    return {
        "__typename": "House",
        "number": number,
        "floors": [1, 2, 3][:number] if number else None,
        "color": "RED" if number != 2 else None,
    }


def _street(number: int, city: Record, keepers: list[Record], plots: list[Record]) -> Record:
    return {
        "__typename": "Street",
        "city": city,
        "name": ["Elm", "Oak", "Ash", "Fir"][number],
        "length": 10 * number if number != 2 else ValueError("not measured"),
        "width": None,
        "lanes": [[1, 2], None, [number]] if number != 3 else [[1, None]],
        "plots": plots[number:] if number != 1 else None,
        "houses": [_house(number), None, _house(number + 1)],
        "keeper": keepers[1] if number != 3 else None,
        "opened": ValueError("lost") if number == 1 else 1900 + number,
    }


def market_world() -> World:
    """Stalls that offer fruit and tools, which three subgraphs know in three ways."""
    things = [_thing(number) for number in range(5)]
    reviews = [
        {"__typename": "Review", "text": f"review {number}" if number else None, "thing": things[number % 5]}
        for number in range(6)
    ]
    for number, thing in enumerate(things):
        thing["reviews"] = reviews[number : number + 2]
        thing["goesWith"] = [things[(number + 1) % 5], None, things[(number + 3) % 5]]
    signs = [{"__typename": "Sign", "text": f"sign {number}", "size": number / 2} for number in range(2)]
    stalls = [
        {
            "__typename": "Stall",
            "id": f"s{number}",
            "name": f"stall {number}" if number else None,
            "offers": things[number : number + 3],
            "best": [things[0], signs[1], things[1], None][number],
            "sign": signs[0] if number == 2 else None,
        }
        for number in range(4)
    ]
    return {
        "records": [*things, *stalls],
        "Query": {
            "stalls": stalls,
            "stall": lambda id=None: next((item for item in stalls if item["id"] == id), None),
            "things": lambda max=None: things[: 5 if max is None else abs(max)],
            "dearest": things[4],
            "latest": reviews,
        },
    }


def _thing(number: int) -> Record:
    record = {
        "__interfaces": ["Thing"],
        "id": f"t{number}",
        "title": f"thing {number}" if number != 1 else None,
        "price": number * 3,
        "stars": lambda of=None: (of or 5) - number % 2,
    }
    if number % 2:
        return {"__typename": "Tool", "weight": number / 4, "handle": "wood" if number == 1 else None, **record}
    return {"__typename": "Fruit", "ripe": number == 2, "kind": "SOFT" if number else "HARD", **record}


def _parcel(number: int, zones: list[Record]) -> Record:
    return {
        "__typename": "Parcel",
        "number": number,
        "code": f"c{number}",
        "area": lambda unit="M2": number * (15 if unit == "MU" else 10000),
        "use": ["HOME", "SHOP", None][number % 3],
        "assessed": number % 2 == 0,
        "height": number * 7 if number != 2 else None,
        "zone": zones[number % 2],
        "place": zones[(number + 1) % 2] if number != 1 else None,
        "words": ["a", "b"][:number] if number else None,
    }


def registry_world() -> World:
    """Parcels of land, whose grade requires what requires what a third and a fourth subgraph hold."""
    zones = [
        {"__typename": "Zone", "id": f"z{number}", "name": f"zone {number}", "rate": number} for number in range(2)
    ]
    parcels = [_parcel(number, zones) for number in range(4)]
    for number, parcel in enumerate(parcels):
        parcel["next"] = parcels[number + 1] if number < 3 else None
    for number, zone in enumerate(zones):
        zone["parcels"] = [item for item in parcels if item["zone"] is zone or number]
    return {
        "records": [*parcels, *zones],
        "Query": {
            "parcels": lambda first=None: parcels[: 3 if first is None else abs(first)],
            "parcel": lambda number=None: next((item for item in parcels if item["number"] == number), None),
            "zones": zones,
            "low": parcels[0],
            "risky": lambda grade=None: [parcels[3], None, parcels[1]],
        },
    }
