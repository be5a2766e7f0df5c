"""What an operator's command does to the owners in one database."""

from headrace.database.owners import move_cluster
from headrace.database.pool import Database


async def moved(database: Database, cluster_id: str, org_id: str) -> str | None:
    """Give a cluster to an organisation; returns whose it was."""
    async with database.transaction() as connection:
        return await move_cluster(connection, cluster_id, org_id)
