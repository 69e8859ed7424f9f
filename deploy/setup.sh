#!/bin/sh
# Makes what deploy/compose.yaml needs and no repository has: passwords, keys, and a certificate
# that nobody trusts until you replace it. What exists already stays as it is.
#
#   sh deploy/setup.sh trading.example.com
set -eu

host=${1:?"usage: sh deploy/setup.sh HOST, the name by which clients reach the server"}
case $host in
*[!A-Za-z0-9.-]* | -*) echo "$host is not the name of a host." >&2 && exit 1 ;;
esac
command -v openssl >/dev/null || { echo "Install openssl first." >&2 && exit 1; }
folder=$(cd "$(dirname "$0")" && pwd)
secrets=$folder/secrets
umask 077
mkdir -p "$secrets/tls"

new_secret() { openssl rand -hex 32; }
# Writes standard input to a file, unless it exists.
keep() {
	if [ -e "$1" ]; then
		echo "kept  $1"
	else
		cat >"$1.new" && mv "$1.new" "$1" && echo "wrote $1"
	fi
}

if [ ! -e "$secrets/server.env" ]; then
	mongo_password=$(new_secret) redis_password=$(new_secret) admin_password=$(new_secret)
	keep "$secrets/mongo.env" <<-END
		MONGO_INITDB_ROOT_USERNAME=admin
		MONGO_INITDB_ROOT_PASSWORD=$admin_password
		MONGO_ADMIN_URI=mongodb://admin:$admin_password@mongo:27017/?directConnection=true
		MONGO_PASSWORD=$mongo_password
		MONGO_KEY=$(new_secret)
	END
	keep "$secrets/redis.env" <<-END
		REDIS_PASSWORD=$redis_password
	END
	# Last, because its existence says that all passwords were made.
	keep "$secrets/server.env" <<-END
		SECRET_KEY=$(new_secret)
		JWT_SECRET_KEY=$(new_secret)
		MONGO_URI=mongodb://paper_trading:$mongo_password@mongo:27017/paper_trading?replicaSet=rs0
		REDIS_URL=redis://:$redis_password@redis:6379/0
		ALLOWED_HOSTS=$host
		CORS_ORIGINS=https://$host
		PUBLIC_URL=https://$host
	END
else
	echo "kept  $secrets/server.env"
fi

if [ ! -e "$secrets/tls/server.crt" ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 \
		-subj "/CN=$host" -addext "subjectAltName=DNS:$host,DNS:localhost,IP:127.0.0.1" \
		-keyout "$secrets/tls/server.key" -out "$secrets/tls/server.crt" 2>/dev/null
	echo "wrote $secrets/tls/server.crt, which clients do not trust: replace it and server.key"
fi

# nginx runs as the owner of its key, but never as root.
owner=$(id -u):$(id -g)
if [ "$(id -u)" -eq 0 ]; then
	owner=101:101
	chown -R "$owner" "$secrets/tls"
fi
keep "$folder/.env" <<-END
	NGINX_USER=$owner
END
