"""The declarative base, and the one column type of our own: an instant."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Dialect, MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant, stored as microseconds since 1970-01-01T00:00Z: sorts, and alike in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Give the microseconds of an aware datetime."""
        del dialect
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Give the aware UTC datetime of stored microseconds."""
        del dialect
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Base(DeclarativeBase):
    """The base of all rows; constraints get names, so that later migrations can name them."""

    # Sizes and indices outgrow 32 bits: 16.8 million segments a year, objects of 10 GiB.
    type_annotation_map: ClassVar = {int: BigInteger}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def postgresql_check(name: str, condition: str) -> CheckConstraint:
    """Give a constraint that PostgreSQL alone has: to add one in SQLite is to write the whole table anew."""
    return CheckConstraint(condition, name=name).ddl_if(dialect="postgresql")
