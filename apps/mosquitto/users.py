"""Devices that publish their state as retained messages of QoS 1, and people who look at it.

paho-mqtt runs a thread of its own; an op waits for the broker's acknowledgement (PUBACK), which is its promise to keep
the message. Nothing is re-sent by us: after a lost connection a device connects anew with a clean session.
"""

import asyncio

import paho.mqtt.client as mqtt

from seatrial import ClientError, User, Verb, task


class Device(User):
    """One device with a few topics of its own."""

    async def on_start(self) -> None:
        self.client: mqtt.Client | None = None

    async def on_stop(self) -> None:
        await self.disconnect()

    async def disconnect(self) -> None:
        if self.client is not None:
            self.client.disconnect()
            self.client.loop_stop()
            self.client = None

    async def connected(self) -> mqtt.Client:
        """Return a connected client. Raises ClientError, certain: nothing of an op was sent yet."""
        if self.client is not None and self.client.is_connected():
            return self.client
        await self.disconnect()
        loop, up = asyncio.get_running_loop(), asyncio.Event()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311, reconnect_on_failure=False)
        client.on_connect = lambda *_: loop.call_soon_threadsafe(up.set)
        client.on_disconnect = lambda *_: loop.call_soon_threadsafe(up.set)
        try:
            await asyncio.to_thread(client.connect, self.target.host, self.target.port, 60)
            client.loop_start()
            await asyncio.wait_for(up.wait(), self.timeout_s)
        except (OSError, TimeoutError) as error:
            client.loop_stop()
            raise ClientError("refused", certain=True, detail=str(error)) from error
        if not client.is_connected():
            client.loop_stop()
            raise ClientError("refused", certain=True, detail="the connection was closed before CONNACK")
        self.client = client
        return client

    @task(weight=3)
    async def publish(self) -> None:
        key, value = self.own_key("state"), self.unique()
        async with self.op("publish retained", Verb.WRITE, key=key, value=value):
            client = await self.connected()
            loop, acknowledged = asyncio.get_running_loop(), asyncio.Event()
            client.on_publish = lambda *_: loop.call_soon_threadsafe(acknowledged.set)
            client.publish(f"trial/{key}", value, qos=1, retain=True)
            try:
                await asyncio.wait_for(acknowledged.wait(), self.timeout_s)
            except TimeoutError:
                await self.disconnect()
                raise ClientError("no-puback", certain=False) from None

    @task(weight=1)
    async def look(self) -> None:
        key = self.some_owned_key()
        if key is None:
            return await self.publish()
        await self.read(key)

    async def read(self, key: str) -> None:
        """Read a retained message. A second topic, retained a moment before, tells "nothing there" from "not yet"."""
        async with self.op("retained", Verb.READ, key=key) as op:
            client = await self.connected()
            op.result(await self.retained(client, f"trial/{key}"))

    async def retained(self, client: mqtt.Client, topic: str) -> str | None:
        loop, got = asyncio.get_running_loop(), asyncio.Queue()
        client.on_message = lambda _c, _u, message: loop.call_soon_threadsafe(got.put_nowait, message)
        client.on_subscribe = lambda *_: loop.call_soon_threadsafe(got.put_nowait, None)
        client.subscribe(topic, qos=1)
        # The broker sends what it retains right after its SUBACK; a marker published after that comes behind it.
        marker = f"{topic}/marker"
        try:
            return await asyncio.wait_for(self.answer(client, got, topic, marker), self.timeout_s)
        except TimeoutError:
            await self.disconnect()
            raise ClientError("no-answer", certain=False) from None
        finally:
            if self.client is not None:
                client.unsubscribe([topic, marker])

    async def answer(self, client: mqtt.Client, got: asyncio.Queue, topic: str, marker: str) -> str | None:
        value, subscribed = None, 0
        while True:
            message = await got.get()
            if message is None:
                subscribed += 1
                if subscribed == 1:
                    client.subscribe(marker, qos=1)
                else:
                    client.publish(marker, "end", qos=1)
            elif message.topic == marker:
                return value
            elif message.topic == topic:
                value = message.payload.decode()

    async def readback(self) -> None:
        for key in self.owned_keys():
            await self.read(key)
