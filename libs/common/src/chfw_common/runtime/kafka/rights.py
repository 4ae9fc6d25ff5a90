"""Who may do what at Kafka: rules of the broker's authorizer, made from the topology, and nothing beside them.

A service may write the topics that it produces, read those that it consumes, and use the consumer groups that begin
with its own name. Write and Read include Describe, and whoever may write a topic may also get the producer id that an
idempotent producer needs. Topics and rules are the administrator's business.
"""

import asyncio
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from chfw_common.runtime.backoff import Backoff
from chfw_common.runtime.clock import RealClock
from chfw_common.runtime.kafka.access import KafkaAccess, user_of
from chfw_common.topology import TOPICS, Topic


class Resource(IntEnum):
    """What a rule is about, as the protocol numbers it."""

    TOPIC = 2
    GROUP = 3


class Pattern(IntEnum):
    """Whether a rule names a resource, or what its name begins with."""

    LITERAL = 3
    PREFIXED = 4


class Verb(IntEnum):
    """What may be done."""

    READ = 3
    WRITE = 4


class Rule(NamedTuple):
    """A user may do something with a resource, from any host."""

    user: str
    resource: Resource
    name: str
    pattern: Pattern
    verb: Verb


_ANY = 1
_ALLOW = 3
_EVERY_HOST = "*"
_OURS = "User:chfw-"
FIRST = 0.02
LIMIT = 20.0
"""Seconds that the broker may need to learn of new rules."""


def rules_of(topics: Iterable[Topic] = TOPICS) -> frozenset[Rule]:
    """Every rule that the topology asks for."""
    rules = set()
    for topic in topics:
        rules.add(Rule(user_of(topic.producer), Resource.TOPIC, topic.name, Pattern.LITERAL, Verb.WRITE))
        for consumer in topic.consumers:
            user = user_of(consumer)
            rules.add(Rule(user, Resource.TOPIC, topic.name, Pattern.LITERAL, Verb.READ))
            rules.add(Rule(user, Resource.GROUP, f"{user}-", Pattern.PREFIXED, Verb.READ))
    return frozenset(rules)


class Entry(NamedTuple):
    """A rule as the broker keeps it, in the order of the protocol."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission: int


async def install_rights(access: KafkaAccess, rules: Iterable[Rule] | None = None) -> None:
    """Make the rules of our users exactly those given, or those of the topology. Safe to repeat.

    Returns once the broker goes by them: it learns of them after it has acknowledged them. Raises KafkaError, and
    TimeoutError when it does not.
    """
    wanted = {_entry(rule) for rule in (rules_of() if rules is None else rules)}
    admin = AIOKafkaAdminClient(**access.client())
    await admin.start()
    try:
        found = await _entries(admin)
        for entry in sorted(found - wanted):
            answer = await _send(admin, DeleteAclsRequest(*entry))
            _require(*answer.filter_responses[0][:2])
        for entry in sorted(wanted - found):
            answer = await _send(admin, CreateAclsRequest(*entry))
            _require(*answer.creation_responses[0])
        backoff = Backoff(RealClock(), FIRST)
        async with asyncio.timeout(LIMIT):
            while await _entries(admin) != wanted:
                await backoff.wait()
    finally:
        await admin.close()


def _entry(rule: Rule) -> Entry:
    return Entry(rule.resource, rule.name, rule.pattern, f"User:{rule.user}", _EVERY_HOST, rule.verb, _ALLOW)


async def _entries(admin: AIOKafkaAdminClient) -> set[Entry]:
    """The rules of our users that the broker goes by."""
    answer = await _send(admin, DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY))
    _require(answer.error_code, answer.error_message)
    return {
        Entry(kind, name, pattern, *entry)
        for kind, name, pattern, entries in answer.resources
        for entry in entries
        if entry[0].startswith(_OURS)
    }


async def _send(admin: AIOKafkaAdminClient, request: Any) -> Any:
    """aiokafka has these requests, and no method of its client that sends them."""
    return await admin._send_request(request)  # noqa: SLF001


def _require(code: int, message: str | None) -> None:
    if code:
        raise for_code(code)(message)
