"""The command `kaltura-app-token demo`: a token's whole life on a local Kaltura, each step with the
command line that does the same. Shows secrets freely: they are of use nowhere but in that sandbox.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request

from kaltura_app_token.command.output.text import iso_time
from kaltura_app_token.errors import KalturaError
from kaltura_app_token.sandbox import Sandbox


def demo() -> int:
    """Prints the steps; returns the exit code."""
    with Sandbox() as sandbox:
        _walk_through(sandbox)
    print("\nThe sandbox is gone. To keep one running: kaltura-app-token sandbox")
    return 0


def _walk_through(sandbox: Sandbox) -> None:
    print("A sandbox, a local Kaltura in memory, is running: nothing leaves this machine.")
    print("Every id and secret below is the sandbox's own and of use nowhere else.")
    print(f"  service URL  {sandbox.service_url}")
    print(f"  partner id   {sandbox.partner_id}")

    _step("Create a token", 'create --description "demo" --privileges "sview:*,list:*"')
    admin = sandbox.client()
    token = admin.add_token(description="demo", session_privileges="sview:*,list:*")
    value = token.token.reveal() if token.token is not None else ""
    print(f"  created token id (sandbox): {token.id}")
    print(f"  its value (sandbox): {value}")

    _step("Exchange it for a session", f"session {token.id} --app-token-file FILE")
    # Whoever exchanges a token needs no admin secret: id and value are enough.
    integration = sandbox.client(admin_secret=None)
    session = integration.start_session(token.id, value)
    ks = session.ks.reveal()
    print(f"  session KS (sandbox): {ks}")
    print(f"  of type {session.session_type}, until {iso_time(session.expiry)}")
    print(f"  privileges: {session.privileges}")

    _step(
        "Try the session out",
        f"curl -d ks=... -d format=1 {sandbox.service_url}/service/media/action/list",
        command="",
    )
    print(f"  media.list answers: {_media_list(sandbox, ks)}")

    _step("List the tokens", "list")
    for listed in admin.tokens():
        print(f"  {listed.id}  {listed.description}  {listed.session_privileges}")

    _step("Change its description", f'update {token.id} --description "demo, renamed"')
    updated = admin.update_token(token.id, description="demo, renamed")
    print(f"  {updated.id}  {updated.description}  {updated.session_privileges}")

    _step("Delete it", f"delete {token.id}")
    admin.delete_token(token.id)
    try:
        integration.start_session(token.id, value)
    except KalturaError as error:
        print(f"  deleted; another exchange answers: {error.message}")
    print(f"  and with the session from before, media.list answers: {_media_list(sandbox, ks)}")


def _step(title: str, arguments: str, command: str = "kaltura-app-token ") -> None:
    print(f"\n{title}\n  $ {command}{arguments}")


def _media_list(sandbox: Sandbox, ks: str) -> str:
    """What any other client of the API would see."""
    form = urllib.parse.urlencode({"ks": ks, "format": 1}).encode()
    # A proxy of the environment could not reach this machine's loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"{sandbox.service_url}/service/media/action/list"
    with opener.open(url, data=form, timeout=10) as response:
        answer = json.load(response)
    if "code" in answer:
        return str(answer["code"])
    return f"{answer['totalCount']} entries"
