"""Loading the exports of the company's own system into the local warehouse, whole tables at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from braze_platform.warehouse.interface import Warehouse

#: Schema of the company's own tables, in the warehouse and as dbt source.
COMPANY_SCHEMA = "company"


@dataclass(frozen=True)
class CompanyTable:
    """One table of the company's own system: its name, what it is, and its columns (name to type, description)."""

    name: str
    description: str
    columns: dict[str, tuple[str, str]]

    def export_in(self, folder: Path) -> Path:
        """The Parquet file that holds the whole table."""
        return folder / f"{self.name}.parquet"


COMPANY_TABLES = (
    CompanyTable(
        "users",
        "Customers of the shop, one row per customer.",
        {
            "user_id": ("VARCHAR", "The shop's id of the customer; Braze knows it as external_id."),
            "email": ("VARCHAR", "E-mail address. Personal data."),
            "country": ("VARCHAR", "Country of the customer, ISO 3166-1 alpha-2."),
            "signed_up_at": ("TIMESTAMP", "When the account was made, UTC."),
            "marketing_consent": ("BOOLEAN", "Whether the customer agreed to marketing messages."),
        },
    ),
    CompanyTable(
        "orders",
        "Orders of the shop, one row per order.",
        {
            "order_id": ("VARCHAR", "Id of the order."),
            "user_id": ("VARCHAR", "The customer who ordered: users.user_id."),
            "ordered_at": ("TIMESTAMP", "When the order was placed, UTC."),
            "category": ("VARCHAR", "Category of what was bought."),
            "currency": ("VARCHAR", "Currency of the amount, ISO 4217."),
            "amount": ("DOUBLE", "Order value in units of the currency (not cents)."),
            "status": ("VARCHAR", "completed or refunded."),
        },
    ),
)


def load_export(warehouse: Warehouse, table: CompanyTable, folder: Path) -> int:
    """Replace `company.<table>` by its newest export in one transaction; return its number of rows.

    Raises `FileNotFoundError` when the company's system has exported nothing yet.
    """
    export = table.export_in(folder)
    if not export.exists():
        raise FileNotFoundError(
            f"No export of company.{table.name} at {export}. Start the sandbox (its shop writes one), "
            "or put a Parquet file with the columns of the asset's description there."
        )
    columns = ", ".join(f"cast({name} as {kind}) as {name}" for name, (kind, _) in table.columns.items())
    with warehouse.session() as session, session.transaction():
        session.execute(f"create schema if not exists {COMPANY_SCHEMA}")
        session.execute(
            f"create or replace table {COMPANY_SCHEMA}.{table.name} as select {columns} from read_parquet($export)",
            {"export": str(export)},
        )
        return int(session.fetch(f"select count(*) from {COMPANY_SCHEMA}.{table.name}")[0][0])
