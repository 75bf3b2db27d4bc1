#!/bin/sh
# Makes every password of docker-compose.yml, once, each readable only by the programs that need it, and lays their
# configuration beside it. The service `keys` runs it, as root, in the image of asterisk-sip; with the word `show` it
# tells the passwords of the pages.
set -eu
cd /keys
if [ "${1:-}" = show ]; then
  echo "dashboard  http://127.0.0.1:8600/  user admin  password $(cat people/dashboard)"
  echo "collector  http://127.0.0.1:8601/  user admin  password $(cat people/dashboard)   (profile fleet)"
  echo "Grafana    http://127.0.0.1:3000/  user admin  password $(cat grafana/password)   (profile demo)"
  exit 0
fi
[ -e made ] && exit 0
umask 077
lab=/configs/demo-lab

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

folder people
secret >people/dashboard

folder prometheus
{
  printf '\n[web]\nhost = "0.0.0.0"\n\n'
  asterisk-sip password admin --role admin <people/dashboard
  echo
  asterisk-sip password --token prometheus 2>token
} >web.toml
grep '^prometheus' token >prometheus/asterisk-sip.token
sed -e 's|- asterisk-sip.rules.yml|- /etc/prometheus/asterisk-sip.rules.yml|' -e 's|^    # authorization:|    authorization:|' \
  -e 's|^    #   credentials_file:.*|      credentials_file: /keys/prometheus/asterisk-sip.token|' \
  /configs/prometheus/prometheus.yml >prometheus/prometheus.yml
given prometheus 65534

folder companion
echo "$ami" >companion/ami.secret
echo "$hep" >companion/hep.password
cat $lab/asterisk-sip.toml web.toml >companion/asterisk-sip.toml

folder fleet
cp companion/* fleet
echo "$nats_companion" >fleet/nats.password
cat $lab/fleet-sink.toml >>fleet/asterisk-sip.toml
given companion 10001
given fleet 10001

folder collector
echo "$nats_collector" >collector/nats.password
echo "$store" >collector/store.password
cat $lab/collector.toml web.toml >collector/asterisk-sip.toml
given collector 10001
rm token web.toml

folder nats
sed -e "s/@companion@/$nats_companion/g" -e "s/@collector@/$nats_collector/g" -e "s/@route@/$nats_route/g" \
  $lab/nats.conf >nats/nats.conf

folder postgres
echo "$store" >postgres/password
given postgres 999

folder grafana
secret >grafana/password
given grafana 472

chmod 755 . # each folder in it belongs to one program
touch made
