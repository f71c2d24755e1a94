# need COMMAND PACKAGE: installs a Debian package if its command is missing, without starting any service of it.
need() {
    command -v "$1" >/dev/null && return
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=yes
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$2" >/dev/null
    [[ -z $made ]] || rm -f "$policy"
}

# need_file FILE PACKAGE: the same for a package without a command.
need_file() {
    [[ -e $1 ]] || need "$1" "$2"
}
