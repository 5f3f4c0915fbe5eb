#!/usr/bin/env bash
# The exchange with plain curl, as the guide's section 6.4 has it, with python3 in the place of jq.
# Wants KALTURA_SERVICE_URL, KALTURA_PARTNER_ID, APP_TOKEN_ID and APP_TOKEN_VALUE.
set -euo pipefail

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

WIDGET_KS=$(curl -s -X POST "$KALTURA_SERVICE_URL/service/session/action/startWidgetSession" \
  -d "widgetId=_$KALTURA_PARTNER_ID" \
  -d "format=1" | field ks)

TOKEN_HASH=$(echo -n "${WIDGET_KS}${APP_TOKEN_VALUE}" | sha256sum | cut -d' ' -f1)

PRIVILEGED_KS=$(curl -s -X POST "$KALTURA_SERVICE_URL/service/appToken/action/startSession" \
  -d "ks=$WIDGET_KS" \
  -d "format=1" \
  -d "id=$APP_TOKEN_ID" \
  -d "tokenHash=$TOKEN_HASH" \
  -d "userId=integration-user" \
  -d "type=0" \
  -d "expiry=86400" | field ks)

curl -s -X POST "$KALTURA_SERVICE_URL/service/media/action/list" \
  -d "ks=$PRIVILEGED_KS" \
  -d "format=1" \
  -d "pager[pageSize]=5"
