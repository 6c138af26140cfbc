"""`/activity` and `/revisions`: what was done, and what came of it. They are read, and never written over HTTP."""

from datastead.api.items import Endpoint, read_item, read_items, routes_of, search_items
from datastead.data.history import ACTIVITY, REVISIONS

routes = [
    route
    for path, collection in (("/activity", ACTIVITY), ("/revisions", REVISIONS))
    for route in routes_of(
        path, Endpoint(collection, GET=read_items, SEARCH=search_items), Endpoint(collection, GET=read_item)
    )
]
