"""What a notice says, item by item, in a person's language (PIPL 17, 23, 30). It decides nothing and stores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gov_services.consent.purposes import Form, Purpose
from gov_services.consent.vocabulary import Vocabulary

METHODS: Mapping[Form, Mapping[str, str]] = {
    Form.COLLECT: {"zh-CN": "收集并加密保存", "en": "taken in and kept sealed"},
    Form.PLAIN: {"zh-CN": "查看原文", "en": "read in full"},
    Form.MASKED: {"zh-CN": "打码后查看", "en": "read masked"},
    Form.DERIVED: {"zh-CN": "只给出结论,不提供原文", "en": "only an answer computed from it is given"},
    Form.PREDICATE: {"zh-CN": "用于查找或比对,不予展示", "en": "looked up or compared by, and not shown"},
}
"""How each form of a grant processes the data."""
CATEGORIES: Mapping[str, Mapping[str, str]] = {
    "account": {"zh-CN": "账户信息", "en": "accounts"},
    "address": {"zh-CN": "地址", "en": "addresses"},
    "birth": {"zh-CN": "出生日期", "en": "date of birth"},
    "business": {"zh-CN": "经营信息", "en": "business details"},
    "contact": {"zh-CN": "联系方式", "en": "contact details"},
    "health": {"zh-CN": "健康信息", "en": "health"},
    "identifier": {"zh-CN": "证件号码", "en": "identity numbers"},
    "name": {"zh-CN": "姓名", "en": "name"},
    "request": {"zh-CN": "您提出请求的内容", "en": "what you write in a request"},
    "payment": {"zh-CN": "缴费信息", "en": "payments"},
}
RETENTION: Mapping[str, str] = {
    "zh-CN": "保存 {days} 日;期满后删除或销毁密钥,依法须继续保存的,只作存储并告知您期限。",
    "en": "Kept for {days} days; then it is removed or its key destroyed. What a law has kept longer is stored only, "
    "and you are told until when.",
}
RIGHTS: Mapping[str, str] = {
    "zh-CN": "您可以在“我的数据”中查阅、复制、转移、更正、补充、删除个人信息,查看谁看过,要求解释,撤回同意,"
    "也可以向上述机构的联系方式提出。",
    "en": "Under “My data” you can see, copy, take along, correct, complete and erase your data, see who read it, ask "
    "for an explanation, and withdraw consent; or write to the contact above.",
}
AUTOMATED: Mapping[str, str] = {
    "zh-CN": "由公开的规则自动作出决定;您可以要求说明,并要求由人工复核。",
    "en": "Published rules decide by themselves; you can ask for an explanation, and for a person to review it.",
}


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a notice that follow from the purpose and the schema, beside what its author wrote."""

    methods: list[str]
    categories: list[str]
    retention: str
    rights: str
    automated: str | None


def items_of(purpose: Purpose, vocabulary: Vocabulary, locale: str) -> Items:
    """In `locale`. What the schema does not call personal is of no category."""
    forms = [form for form in Form if form in purpose.grants.values()]
    categories = sorted({vocabulary[name].category for name in purpose.grants if name in vocabulary})
    return Items(
        methods=[METHODS[form][locale] for form in forms],
        categories=[CATEGORIES[category][locale] for category in categories],
        retention=RETENTION[locale].format(days=purpose.retention_days),
        rights=RIGHTS[locale],
        automated=AUTOMATED[locale] if purpose.automated else None,
    )
