"""The whole flow through the official Python client.

Run by `test_other_clients.py` in an environment that has it. Arguments: the server's address
without `/api_v3`, the partner id, the admin secret.
"""

import hashlib
import sys

from KalturaClient import KalturaClient, KalturaConfiguration
from KalturaClient.Plugins.Core import (
    KalturaAppToken,
    KalturaAppTokenFilter,
    KalturaAppTokenHashType,
    KalturaFilterPager,
    KalturaMediaEntryFilter,
    KalturaSessionType,
)

address, partner_id, admin_secret = sys.argv[1], int(sys.argv[2]), sys.argv[3]
config = KalturaConfiguration()
config.serviceUrl = address
client = KalturaClient(config)

client.setKs(
    client.session.start(
        admin_secret, "admin", KalturaSessionType.ADMIN, partner_id, 86400, "disableentitlement"
    )
)
wanted = KalturaAppToken()
wanted.hashType = KalturaAppTokenHashType.SHA256
wanted.sessionType = KalturaSessionType.USER
wanted.sessionPrivileges = "sview:*,list:*"
wanted.description = "made by the official client <&> ☃"
token = client.appToken.add(wanted)
assert client.appToken.get(token.id).description == wanted.description

change = KalturaAppToken()
change.description = "changed"
assert client.appToken.update(token.id, change).description == "changed"
listed = client.appToken.list(KalturaAppTokenFilter(), KalturaFilterPager())
assert [found.id for found in listed.objects] == [token.id], listed.totalCount
admin_ks = client.getKs()

client.setKs(None)
widget = client.session.startWidgetSession(f"_{partner_id}")
client.setKs(widget.ks)
token_hash = hashlib.sha256((widget.ks + token.token).encode()).hexdigest()
session = client.appToken.startSession(token.id, token_hash, "alice", KalturaSessionType.USER, 600)
assert session.userId == "alice", session.userId

client.setKs(session.ks)
assert client.media.list(KalturaMediaEntryFilter()).totalCount == 0

client.setKs(admin_ks)
client.appToken.delete(token.id)
assert client.appToken.list(KalturaAppTokenFilter(), KalturaFilterPager()).totalCount == 0
print("done")
