"""The Python client: administration and inference, with the names and parameters of Xinference's client.

>>> from enginehouse.client import Client
>>> client = Client()
>>> uid = client.launch_model("stoker")
>>> answer = client.get_model(uid).chat([{"role": "user", "content": "Hello!"}])

`AsyncClient` has the same methods as coroutines.
"""

from .asynchronous import AsyncChatModelHandle, AsyncClient, AsyncEventStream, AsyncGenerateModelHandle
from .blocking import ChatModelHandle, Client, EventStream, GenerateModelHandle
from .errors import ClientError, ServerUnreachable

__all__ = [
    "AsyncChatModelHandle",
    "AsyncClient",
    "AsyncEventStream",
    "AsyncGenerateModelHandle",
    "ChatModelHandle",
    "Client",
    "ClientError",
    "EventStream",
    "GenerateModelHandle",
    "ServerUnreachable",
]
