"""`/presets`, `/notifications`, `/comments` and the like: the platform's own items, written like others."""

from datastead.api.items import system_routes
from datastead.data.workspace import RESOURCES, VERSIONS

routes = [route for path, table, _ in RESOURCES if table.name != VERSIONS for route in system_routes(path, table.name)]
