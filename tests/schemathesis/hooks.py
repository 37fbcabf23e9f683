"""Makes part of Schemathesis's requests meaningful: random text is never a picture, an id or a model, and would only ever be refused.

What takes part is decided by the request itself, so that a run with the same seed is the same run. The rest goes out as it is.
"""

import atexit
import base64
import collections
import hashlib
import json
import os
import urllib.error
import urllib.request
import zlib

import schemathesis

URL = os.environ["HOMOLOG_URL"]
# One that is done.
EVALUATION = os.environ["HOMOLOG_EVALUATION"]
WIDTH, HEIGHT = 32, 24
DEADLINE = "x-request-timeout-ms"


def read(name):
    with open(os.path.join(os.environ["HOMOLOG_PICTURES"], name), "rb") as file:
        return file.read()


def image(file):
    return {"base64": base64.b64encode(file).decode()}


PICTURE, FORGOTTEN = read("rgb.png"), read("grey.png")
# Sent once, and named by its id from then on.
KEPT = {"id": hashlib.sha256(PICTURE).hexdigest()}


class Dice:
    """Numbers that depend on the request alone."""

    def __init__(self, case):
        seed = repr((case.method, case.path, case.path_parameters, case.query, case.body))
        self.state = zlib.crc32(seed.encode(errors="replace"))

    def one_in(self, sides):
        self.state = zlib.crc32(self.state.to_bytes(4, "little"))
        return self.state % sides == 0


def post(path, body):
    request = urllib.request.Request(
        URL + path, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response).get("id")
    except urllib.error.HTTPError as error:
        # busy: the request goes out with the id that it had
        if error.code == 429:
            return None
        raise


def within(points):
    """Points of the picture, as many as there were."""
    return [[index % WIDTH + 0.25, index * 7 % HEIGHT + 0.5] for index in range(len(points))]


def settings(body, dice):
    """What most requests share: a model that is loaded, a resolution that it offers."""
    if "model" in body and not dice.one_in(8):
        body["model"] = "demo"
    if "resolution" in body and not dice.one_in(8):
        body["resolution"] = 224
    if isinstance(body.get("points"), list) and body["points"] and not dice.one_in(8):
        body["points"] = within(body["points"])
    if isinstance(body.get("top_k"), int) and not dice.one_in(8):
        body["top_k"] %= 7


def pictures(body, dice, choice):
    """Pictures where pictures are due."""
    for name in ("source", "image"):
        if name in body and not dice.one_in(8):
            body[name] = choice[dice.one_in(3)]
    for name in ("targets", "target"):
        if isinstance(body.get(name), list) and not dice.one_in(8):
            body[name] = [choice[dice.one_in(3)] for _ in body[name][:3]]


def evaluation(body, dice):
    """A registered dataset, or pairs of the request's own."""
    runs = body.get("runs")
    for run in runs if isinstance(runs, list) else []:
        if isinstance(run, dict):
            settings(run, dice)
    if not isinstance(body.get("pairs"), list) or dice.one_in(3):
        if dice.one_in(8):
            return
        body.pop("pairs", None)
        body.pop("images", None)
        body["dataset"] = "boats"
    elif not dice.one_in(8):
        body.pop("dataset", None)
        body["images"] = {"a": image(PICTURE)}
        for pair in body["pairs"]:
            if isinstance(pair, dict):
                pair["source"] = pair["target"] = "a"
                points = pair.get("source_keypoints")
                if isinstance(points, list) and not dice.one_in(8):
                    pair["source_keypoints"] = pair["target_keypoints"] = within(points)


def identify(case, dice):
    """Ids of what is there; what is deleted is made first."""
    if dice.one_in(4):
        return
    if case.path.startswith("/eval/{id}"):
        case.path_parameters["id"] = EVALUATION
        if case.method.upper() == "DELETE":
            made = post("/eval", {"dataset": "boats"})
            case.path_parameters["id"] = made or "none"
    elif case.path == "/images/{id}":
        case.path_parameters["id"] = post("/images", image(FORGOTTEN)) or "none"
    elif case.path == "/models/{id}":
        case.path_parameters["id"] = "demo"


@schemathesis.hook
def before_call(context, case, kwargs):
    dice = Dice(case)
    if case.headers.get(DEADLINE, "").isdecimal() and not dice.one_in(8):
        case.headers[DEADLINE] = "60000"
    if isinstance(case.path_parameters, dict) and "id" in case.path_parameters:
        identify(case, dice)
    if not isinstance(case.body, dict):
        return
    if case.media_type == "application/json":
        if case.path == "/eval":
            evaluation(case.body, dice)
        elif case.path == "/images":
            if not dice.one_in(4):
                case.body.update(image(PICTURE))
        else:
            settings(case.body, dice)
            pictures(case.body, dice, [image(PICTURE), KEPT])
    elif case.media_type == "multipart/form-data":
        pictures(case.body, dice, [PICTURE, PICTURE])
        if isinstance(case.body.get("request"), dict):
            if case.path == "/eval":
                evaluation(case.body["request"], dice)
            else:
                settings(case.body["request"], dice)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What is held against the service: not that a caller's own deadline of milliseconds was kept."""
    return not (response.status_code == 504 and DEADLINE in case.headers and failure.code == "ST101")


ANSWERS = collections.Counter()


@schemathesis.hook
def after_call(context, case, response):
    ANSWERS[f"{case.method.upper()} {case.path}", response.status_code] += 1


@atexit.register
def count():
    with open(os.environ["HOMOLOG_ANSWERS"], "w") as file:
        json.dump([[route, status, times] for (route, status), times in sorted(ANSWERS.items())], file)
