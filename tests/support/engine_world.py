"""The records behind the town that the tests of the engine plan over, made once a test. It answers nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
World = dict[str, Any]
Add = Callable[..., Record]


def town_world() -> World:
    """Three people, two companies, two offices, three permits and their bills; some values are null."""
    records: list[Record] = []

    def add(type_name: str, **fields: Any) -> Record:
        record = {"__typename": type_name, **fields}
        records.append(record)
        return record

    people = _people(add)
    companies, offices = _companies_and_offices(add)
    permits = _permits(add, people, companies, offices)
    _link(people, companies, offices, permits)

    def one(type_name: str) -> Callable[..., Any]:
        return lambda id: next((item for item in records if item["__typename"] == type_name and item["id"] == id), None)

    subjects = [*people, *companies]
    return {
        "records": records,
        "Query": {
            "me": people[0],
            "person": one("Person"),
            "people": lambda first: people[:first],
            "subject": lambda id: next((item for item in subjects if item["id"] == id), None),
            "subjects": [*subjects, None],
            "search": lambda text=None: [companies[0], people[1], companies[1]],
            **{"version": "1", "permit": one("Permit"), "bill": one("Bill"), "offices": offices},
            "permits": lambda status=None: [item for item in permits if status in (None, item["status"])],
            "noted": [companies[1], people[0]],
        },
        "Mutation": {
            "renamePerson": lambda input: {"__typename": "RenamePersonPayload", "person": one("Person")(input["id"])},
            **{"touch": lambda: 1, "submitPermit": lambda kind: permits[0]},
            "addNote": lambda subject, text: companies[1],
        },
    }


def _address(street: str | None, city: str, postcode: str) -> Record:
    town = {"__typename": "City", "name": city, "district": f"{city} East"}
    return {"__typename": "Address", "street": street, "city": town, "postcode": postcode}


def _people(add: Add) -> list[Record]:
    people = []
    for number, name in enumerate(["Ana", None, "Chen"], start=1):
        person = add(
            "Person",
            __interfaces=["Subject"],
            id=f"p{number}",
            number=f"n{number}",
            name=name,
            label=f"person {number}",
            birthYear=1960 + number if number != 2 else None,
            secret="hidden",
            contact={"__typename": "Contact", "phone": f"1-{number}"} if number != 3 else None,
            address=_address(f"{number} Elm", "Lin", f"00{number}") if number != 2 else None,
            notes=[],
            balance={"__typename": "Money", "amount": 100 * number},
            hasPermit=number == 1,
        )
        people.append(person)
    return people


def _companies_and_offices(add: Add) -> tuple[list[Record], list[Record]]:
    companies = [
        add("Company", __interfaces=["Subject"], id=f"c{number}", label=f"company {number}", contact=None, notes=[])
        for number in (1, 2)
    ]
    offices = [
        add(
            "Office",
            code=f"o{number}",
            name=f"Office {number}",
            account=f"acc{number}",
            address=_address(None, "Lin", "9"),
        )
        for number in (1, 2)
    ]
    return companies, offices


def _permits(add: Add, people: list[Record], companies: list[Record], offices: list[Record]) -> list[Record]:
    permits: list[Record] = []
    for number in (1, 2, 3):
        permit = add(
            "Permit",
            __interfaces=["Case"],
            id=f"m{number}",
            serial=number,
            office=offices[number % 2],
            kind="STALL" if number == 1 else "SHOP",
            status="OPEN" if number != 3 else None,
            title=(lambda number: lambda language="zh": f"title {number} {language}")(number),  # noqa: B023
            holder=people[number - 1] if number != 3 else None,
            previous=permits[0] if permits else None,
            shelf=f"shelf {number}",
        )
        permit["attachments"] = [
            {"__typename": "Scan", "pages": number, "of": people[0]},
            {"__typename": "Letter", "pages": None, "from": companies[0]},
            None,
        ]
        permit["fee"] = add(
            "Bill",
            id=f"b{number}",
            amount={"__typename": "Money", "amount": number},
            payer=people[0],
            permit=permit,
            lines=[{"__typename": "Line", "text": "a", "cost": {"__typename": "Money", "amount": 1}}],
        )
        permits.append(permit)
    return permits


def _link(people: list[Record], companies: list[Record], offices: list[Record], permits: list[Record]) -> None:
    for number, person in enumerate(people):
        person |= {
            "friends": [item for item in people if item is not person],
            "employer": companies[0] if number == 0 else None,
            "office": offices[0] if number < 2 else None,
            "permits": lambda status=None: [item for item in permits if status in (None, item["status"])],
            "notes": [{"__typename": "Note", "text": f"note {number}", "about": companies[1]}],
        }
    for number, company in enumerate(companies):
        company["owner"] = people[number] if number == 0 else None
    for office in offices:
        office["head"] = people[2]
