"""Workloads of src/workload.rs with aiohttp: same arguments, one thread, cookies and decoding on."""

import asyncio
import ctypes
import os
import resource
import ssl
import statistics
import sys
import time

import aiohttp


def main():
    task, *rest = sys.argv[1:]
    plan = dict(argument.split("=", 1) for argument in rest)
    metrics = asyncio.run(TASKS[task](plan))
    for name, value in metrics.items():
        print(name, value)


def session(plan):
    trusted = ssl.create_default_context(cafile=plan["ca"]) if "ca" in plan else True
    connector = aiohttp.TCPConnector(limit=int(plan.get("limit", 100)), ssl=trusted)
    # unsafe=True: keep cookies of IP addresses too, as the other clients do.
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True))


async def get(client, url, length):
    async with client.get(url) as response:
        body = await response.read()
    assert len(body) == length, f"{len(body)} bytes received instead of {length}"


async def small(plan):
    url, length, tasks = plan["url"], int(plan["length"]), int(plan["tasks"])
    done, stopped = 0, False

    async def fetch_repeatedly(client):
        nonlocal done
        while not stopped:
            await get(client, url, length)
            done += 1

    async with session(plan) as client:
        running = [asyncio.create_task(fetch_repeatedly(client)) for _ in range(tasks)]
        await asyncio.sleep(float(plan["warm_up"]))
        start, cpu, before = time.perf_counter(), cpu_time(), done
        await asyncio.sleep(float(plan["measured"]))
        elapsed, cpu, pages = time.perf_counter() - start, cpu_time() - cpu, done - before
        stopped = True
        await asyncio.gather(*running)
    return {"rate": pages / elapsed, "time": elapsed * 1e6 * tasks / pages, "cpu": cpu * 1e6 / pages}


async def contention(plan):
    url, length, tasks = plan["url"], int(plan["length"]), int(plan["tasks"])
    start = time.perf_counter()
    measure_from = start + float(plan["warm_up"])
    until = measure_from + float(plan["measured"])
    waits = []

    async def measure_waits(client):
        while (sent := time.perf_counter()) < until:
            await get(client, url, length)
            if (now := time.perf_counter()) >= measure_from:
                waits.append((now - sent) * 1e3)

    async with session(plan) as client:
        await asyncio.gather(*(measure_waits(client) for _ in range(tasks)))
    waits.sort()
    p50, p99 = statistics.median(waits), waits[min(len(waits) * 99 // 100, len(waits) - 1)]
    return {"waits": len(waits), "p50": p50, "p99": p99, "max": waits[-1], "spread": p99 / p50}


async def body(plan):
    url, length = plan["url"], int(plan["length"])
    async with session(plan) as client:
        async with client.get(url.replace("/long", "/")) as response:
            await response.read()
        start, cpu, read = time.perf_counter(), cpu_time(), 0
        async with client.get(url) as response:
            async for chunk in response.content.iter_any():
                read += len(chunk)
        elapsed, cpu = time.perf_counter() - start, cpu_time() - cpu
    assert read == length, f"{read} bytes received instead of {length}"
    return {"rate": length / elapsed / 2**20, "cpu": cpu}


async def idle(plan):
    url, length, tasks, hosts = plan["url"], int(plan["length"]), int(plan["tasks"]), int(plan["hosts"])
    urls = [url.replace("{}", str(host)) for host in range(1, hosts + 1)]
    async with session(plan) as client:
        await get(client, urls[0], length)
        memory, files = anonymous_memory(), len(os.listdir("/proc/self/fd"))
        await asyncio.gather(*(get(client, urls[n % hosts], length) for n in range(tasks)))
        await asyncio.sleep(0.5)
        connections = len(os.listdir("/proc/self/fd")) - files
        memory = anonymous_memory() - memory
    return {"connections": connections, "memory": memory / 1024 / connections}


def cpu_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def anonymous_memory():
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


TASKS = {"small": small, "contention": contention, "body": body, "idle": idle}

main()
