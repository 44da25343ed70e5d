"""A page as an independent parser sees it; what is not well formed, or leads outside, fails."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

from PIL import Image

VOID = {"meta", "link", "img", "input", "br", "image", "rect"}


class Parsed(HTMLParser):
    """What is in a page.

    Attributes:
        elements: name and attributes of each element.
        text: all text that people see.
    """

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.text, self.scripts = [], [], "", []
        self.feed(page)
        self.close()
        assert self.open == [], self.open
        self._check()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag, tag

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text += f"{data} "

    def all(self, tag, **wanted):
        """Attributes of the elements of a name that have these."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]

    def pictures(self):
        """All pictures, decoded."""
        addresses = [one["src"] for one in self.all("img")]
        addresses += [one["href"] for one in self.all("image")]
        data = [base64.b64decode(address.partition(",")[2]) for address in addresses]
        return [Image.open(io.BytesIO(picture)) for picture in data]

    def _check(self):
        for tag, attributes in self.elements:
            for name, value in attributes.items():
                assert not name.startswith("on"), (tag, name)
                if name == "src" or (name == "href" and tag != "a"):
                    assert re.match(r"data:image/(png|jpeg);base64,", value), value[:80]
                if name == "href" and tag == "a":
                    assert re.fullmatch(r"[\w%./~-]+", value), value  # a file beside this one
        # The one script is ours, by its hash.
        (policy,) = (
            one["content"] for one in self.all("meta", **{"http-equiv": "Content-Security-Policy"})
        )
        (script,) = self.scripts
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
