#!/bin/sh
# setup.sh FOLDER: everything that Mosquitto needs for sirens, in FOLDER: its configuration, a certificate and passwords.
#
#   opencram mqtt-passwords SITE | sudo sh deploy/mosquitto/setup.sh /etc/mosquitto/opencram
#
# Reads lines "name:password" on standard input. Run it again after a siren was added or before the certificate ends:
# the local certificate authority, once made, stays, and so does what was said of the first three of these:
#
#   ADDRESS=0.0.0.0   where to listen; 127.0.0.1 when never given
#   PORT=8883         the port
#   NAMES="..."       names and addresses by which sirens reach it, for its certificate; localhost is always in it
#   DAYS=825          how long its certificate lasts
#
# FOLDER/authority/ca.key is the authority's secret; FOLDER/mqtt-ca.crt is what sirens and the service need, beside
# their tokens.
set -eu
umask 077

[ $# -eq 1 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { echo "setup.sh: $1" >&2; exit 2; }
for tool in openssl mosquitto_passwd; do
    command -v "$tool" >/dev/null || fail "found no $tool; on Debian: apt install mosquitto openssl"
done
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/authority"
folder=$(cd "$1" && pwd)

was() { sed -n "s/^$1=//p" authority/settings 2>/dev/null || true; }

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

make_authority() {
    key authority/ca.key
    openssl req -x509 -new -key authority/ca.key -sha256 -days 7300 -out mqtt-ca.crt \
        -subj "/CN=opencram sirens, $(hostname), $(date +%Y-%m-%d)" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
}

alternatives() {
    printf 'DNS:localhost,IP:127.0.0.1,IP:::1'
    for name in $names; do
        case $name in
            *:*) printf ',IP:%s' "$name" ;;
            *[!0-9.]*) printf ',DNS:%s' "$name" ;;
            *) printf ',IP:%s' "$name" ;;
        esac
    done
}

make_certificate() {
    key authority/server.key
    printf '%s\n' basicConstraints=CA:FALSE keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth \
        subjectKeyIdentifier=hash authorityKeyIdentifier=keyid "subjectAltName=$(alternatives)" >authority/extensions
    openssl req -new -key authority/server.key -subj /CN=mosquitto -out authority/server.csr
    openssl x509 -req -in authority/server.csr -CA mqtt-ca.crt -CAkey authority/ca.key -CAserial authority/serial \
        -CAcreateserial -sha256 -days "${DAYS:-825}" -extfile authority/extensions -out authority/server.crt \
        2>authority/log || fail "found NAMES='$names' and DAYS=${DAYS:-825}, of which openssl makes no certificate"
}

take_passwords() {
    cat >authority/passwords
    grep -q '^opencram:.' authority/passwords ||
        fail "found no line 'opencram:PASSWORD' on standard input, expected the service's and each siren's"
    mosquitto_passwd -U authority/passwords
}

cd "$folder"
take_passwords
names=${NAMES:-$(was NAMES)}
address=${ADDRESS:-$(was ADDRESS)}
port=${PORT:-$(was PORT)}
[ -e authority/ca.key ] || make_authority
make_certificate

# Nothing has failed: from here on it is in force.
mv authority/passwords authority/server.key authority/server.crt .
printf 'NAMES=%s\nADDRESS=%s\nPORT=%s\n' "$names" "$address" "$port" >authority/settings
cp "$here/acl" acl
sed -e "s|@FOLDER@|$folder|" -e "s|@ADDRESS@|${address:-127.0.0.1}|" -e "s|@PORT@|${port:-8883}|" \
    "$here/mosquitto.conf" >mosquitto.conf

chmod 755 . && chmod 644 mqtt-ca.crt server.crt mosquitto.conf
if [ "$(id -u)" = 0 ] && id mosquitto >/dev/null 2>&1; then   # started as root, Mosquitto goes on as its own user
    chown mosquitto acl passwords server.key
fi
echo "$folder/mosquitto.conf: $(grep -c : passwords) names, certificate until $(
    openssl x509 -in server.crt -noout -enddate | cut -d= -f2)"
