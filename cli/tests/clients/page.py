"""Uses Exhibitor's page in a real browser, as a person does: page.py BROWSER URL DIRECTORY

Prints what it saw, one line each, and puts pictures of the page into the directory. It waits for what the page shows,
not for a time to pass: the caller says how long it may run. The browser is driven through two pipes, so that no port is
open and no library is needed.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


class Browser:
    def __init__(self, path, profile):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        def place():
            # Chromium reads commands from descriptor 3 and writes answers to 4. The copies keep the pipes out of the way.
            reading, writing = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(
            [path, *options, "--remote-debugging-pipe", "about:blank"], preexec_fn=place, pass_fds=(3, 4, theirs_in, theirs_out),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.input, self.output = ours_out, os.fdopen(ours_in, "rb")
        self.number, self.session, self.errors = 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")

    def message(self):
        bytes = b""
        while not bytes.endswith(b"\0"):
            byte = self.output.read(1)
            if not byte:
                sys.exit("the browser has gone")
            bytes += byte
        return json.loads(bytes[:-1])

    def call(self, method, **params):
        self.number += 1
        command = {"id": self.number, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.input, json.dumps(command).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]["exceptionDetails"]))
            entry = message.get("params", {}).get("entry", {})
            if message.get("method") == "Log.entryAdded" and entry.get("level") == "error":
                self.errors.append(entry["text"])

    def tell(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            sys.exit(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, script, looks="Infinity"):
        """Until the page answers with something true, or, after so many looks, None."""
        pause = "new Promise((resolve) => setTimeout(resolve, 50))"
        return self.tell(f"(async () => {{ for (let look = 0; look < {looks}; look++) {{ const found = {script};"
                         f" if (found) return found; await {pause}; }} return null; }})()")

    def click(self, script):
        """In the middle of an element, where a person clicks."""
        at = self.tell(f"(() => {{ const element = {script}; element.scrollIntoView({{ block: 'center' }});"
                       " const box = element.getBoundingClientRect();"
                       " return { x: box.x + Math.min(box.width / 2, 40), y: box.y + Math.min(box.height / 2, 10) }; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def click_until(self, script, done):
        """Clicks until the page answers with something true. A click that comes while the page moves its parts misses."""
        found = None
        while not found:
            self.click(script)
            found = self.wait(done, 40)
        return found

    def press(self, key):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, file):
        Path(file).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait()


def main(path, url, directory):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(path, profile)
        use(browser, url, directory)
        browser.close()


def use(browser, url, directory):
    show(browser, 1200, "light")
    browser.call("Page.navigate", url=url)
    use_members(browser)
    use_znodes(browser)
    restart(browser)
    browser.click("document.querySelector('#log summary')")
    browser.wait("document.querySelector('#log pre').textContent.includes('INFO')")
    print("log: listed")
    browser.click("document.querySelector('#log summary')")
    browser.click("document.querySelector('#configuration summary')")
    browser.wait("document.querySelector('#configuration dl').textContent.includes('serversSpec')")
    print("configuration: listed")
    browser.click("document.querySelector('#configuration summary')")
    for width in (1200, 400):
        for scheme in ("light", "dark"):
            show(browser, width, scheme)
            wide = browser.tell("document.documentElement.scrollWidth")
            print(f"{width} px, {scheme}: {'fits' if wide <= width else f'{wide} px wide'}")
            browser.picture(Path(directory) / f"exhibitor-{width}-{scheme}.png")
    print("elements without a name:", unnamed(browser) or "none")
    print("errors:", browser.errors or "none")


def show(browser, width, scheme):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


ROWS = "[...document.querySelectorAll('#members tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"


def use_members(browser):
    rows = browser.wait(f"(() => {{ const rows = {ROWS}; return rows.length && rows.every((row) => row[3]) && rows; }})()")
    for host, role, state, *_ in rows:
        print(f"member {host}: {role}, {state}")
    print("summary:", browser.tell("document.querySelector('#summary').textContent"))


def use_znodes(browser):
    """The root's child with the mouse, and on by the keyboard alone."""
    made = browser.tell("fetch('../explorer/znode/app/config', { method: 'PUT', body: '68 65 6c 6c 6f',"
                        " headers: { 'Content-Type': 'application/json' } }).then((answer) => answer.json())")
    print("znode made:", made["message"])
    selected = "document.querySelector('#tree [aria-selected=true]')?.dataset.path"
    browser.wait("document.querySelector('#tree [data-path=\"/zookeeper\"]')")
    browser.click_until("document.querySelector('#tree [data-path=\"/zookeeper\"] > .row')",
                        "document.querySelector('#tree [data-path=\"/zookeeper/quota\"]') !== null")
    browser.press("ArrowDown")
    browser.press("Enter")
    browser.wait(f"{selected} === '/zookeeper/quota' && document.querySelector('#znode h3')?.textContent === '/zookeeper/quota'")
    print("znode by keyboard:", browser.tell("document.querySelector('#znode h3').textContent"))
    browser.tell("(document.querySelector('#path').value = '/app/config', document.querySelector('#go button').focus())")
    go = "document.querySelector('#go button')"
    browser.click_until(go, f"{selected} === '/app/config' && document.querySelector('#znode h3')?.textContent === '/app/config'")
    print("znode by path:", browser.tell("document.querySelector('#znode pre').textContent"))
    browser.tell("document.querySelector('#path').value = '/nowhere'")
    print("no znode:", browser.click_until(go, "document.querySelector('#znode .bad')?.textContent"))
    browser.tell("document.querySelector('#path').value = '/app/config'")
    browser.click_until(go, "document.querySelector('#znode h3')?.textContent === '/app/config'")


def restart(browser):
    """The leader: first the dialogue is cancelled, then not."""
    # What the page says in between passes quickly.
    browser.tell("(() => { window.told = []; const done = document.querySelector('#done');"
                 " new MutationObserver(() => window.told.push(done.textContent)).observe(done, { childList: true }); })()")
    row = "[...document.querySelectorAll('#members tr')].find((row) => row.cells[1].textContent === 'leader')"
    host = browser.tell(f"{row}.cells[0].textContent")
    for answer in ("no", "yes"):
        browser.click_until(f"{row}.querySelector('button')", "document.querySelector('#ask').open")
        print("asked:", browser.tell("document.querySelector('#ask-title').textContent").replace(host, "HOST"))
        browser.click_until(f"document.querySelector('#ask [value={answer}]')", "!document.querySelector('#ask').open")
        if answer == "yes":
            browser.wait("window.told.length")
        print("told:", len(browser.tell("window.told")) > 0)
    browser.wait("window.told.some((text) => text.includes('serves again'))")
    for text in browser.tell("window.told"):
        print("told:", text.replace(host, "HOST"))
    browser.wait(f"{ROWS}.every((row) => row[1] === 'leader' || row[1] === 'follower')")
    print("roles afterwards:", ", ".join(sorted(row[1] for row in browser.tell(ROWS))))


def unnamed(browser):
    """Buttons, fields and items that a screen reader has no name for."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    wanted = ("button", "textbox", "treeitem", "tree", "DisclosureTriangle")
    return [node["role"]["value"] for node in nodes
            if not node.get("ignored") and node["role"]["value"] in wanted and not node.get("name", {}).get("value")]


main(*sys.argv[1:])
