#!/bin/sh
# Makes every password of docker-compose.yml, once, each readable only by the programs that need it, and lays the
# configuration of asterisk-sip beside its own. The service `keys` runs it, as root, in the image of asterisk-sip.
set -eu
cd /keys
[ -e made ] && exit 0
umask 077

secret() { python -c 'import secrets; print(secrets.token_urlsafe(24))'; }
# folder NAME: an empty one.
folder() { rm -rf "$1" && mkdir "$1"; }
# given NAME UID: hand a folder to the user of a container.
given() { chown -R "$2:$2" "$1"; }

ami=$(secret) hep=$(secret)
nats_companion=$(secret) nats_collector=$(secret) nats_route=$(secret) store=$(secret)

folder asterisk
printf '[asterisk-sip](+)\nsecret = %s\n' "$ami" >asterisk/manager.conf
printf '[general](+)\ncapture_password = %s\n' "$hep" >asterisk/hep.conf
given asterisk 10002

folder companion
echo "$ami" >companion/ami.secret
echo "$hep" >companion/hep.password
cat /demo-lab/asterisk-sip.toml >companion/asterisk-sip.toml

folder fleet
cp companion/* fleet
echo "$nats_companion" >fleet/nats.password
cat /demo-lab/fleet-sink.toml >>fleet/asterisk-sip.toml
given companion 10001
given fleet 10001

folder collector
echo "$nats_collector" >collector/nats.password
echo "$store" >collector/store.password
cat /demo-lab/collector.toml >collector/asterisk-sip.toml
given collector 10001

folder nats
sed -e "s/@companion@/$nats_companion/" -e "s/@collector@/$nats_collector/" -e "s/@route@/$nats_route/" \
  /demo-lab/nats.conf >nats/nats.conf
given nats 10003

folder postgres
echo "$store" >postgres/password
given postgres 999

folder grafana
secret >grafana/password
given grafana 472

chmod 755 . # each folder in it belongs to one program
touch made
