"""The Python client: administration and inference, with the names and parameters of Xinference's client.

>>> from enginehouse.client import Client
>>> client = Client()
>>> uid = client.launch_model("stoker")
>>> answer = client.get_model(uid).chat([{"role": "user", "content": "Hello!"}])

`AsyncClient` has the same methods as coroutines. `RESTfulClient`, `RESTfulChatModelHandle` and their like are
the same classes by the names that programs written for Xinference import.
"""

from . import handlers
from .asynchronous import AsyncByteStream, AsyncClient, AsyncEventStream
from .blocking import ByteStream, Client, EventStream
from .errors import ClientError, ServerUnreachable
from .handlers import *  # noqa: F403 - its __all__ says which: every handle, by both its names

RESTfulClient = Client
AsyncRESTfulClient = AsyncClient

__all__ = [
    "AsyncByteStream",
    "AsyncClient",
    "AsyncEventStream",
    "AsyncRESTfulClient",
    "ByteStream",
    "Client",
    "ClientError",
    "EventStream",
    "RESTfulClient",
    "ServerUnreachable",
    *handlers.__all__,
]

__getattr__ = handlers.contributed_handle
