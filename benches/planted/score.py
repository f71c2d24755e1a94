#!/usr/bin/env python3
"""usage: score.py EVENTS.ndjson LABELS.tsv [--json OUT] [--no-ns] [--explain N] [--set NAME=VALUE ...]

Explainable, unsupervised surprise in bits for Kubernetes audit events: per session (one actor, ten aligned minutes of
event time), against the actor's own past and, where that is thin, against its peers.  Streaming: a session is scored with
the state as it was when its bucket opened, and learned when the bucket closes.  Labels are read only to print metrics.

Every categorical part is one predictive probability, interpolated by Witten-Bell:

    p_actor(v) = (c(v) + T * p_team(v)) / (n + T)      c = this actor's sessions that held v, decayed with half-life HALF
    p_team(v)  = (a(v) + A * p_kind(v)) / (m + A)      a = number of ACTORS of the team with the habit v (not events),
    p_kind(v)  = (a(v) + A * p_all(v))  / (m + A)      a habit being a value seen on at least HABIT days; the same for
    p_all(v)   = (a(v) + A * base)      / (m + A)      the actor.kind and for all actors; base = 1/V

n = sum of c, T = number of distinct v of the actor, m = sum of a, A = number of distinct v among those peers.
bits = -log2 p, minus an allowance FREE, at most the part's cap; a surprising operation counts 1 + IMPACT * impact times;
the session's score is the sum of its parts."""
import sys, json, math, ipaddress, datetime as dt, collections, statistics

P = dict(WINDOW=600, LEARN=18 * 86400, HALF=30 * 86400, UNIT=600, FREE=4.0, IMPACT=0.25, PRIOR=1.0, TEAM=1, HABIT=2, PROBATION=1,
         CAP_op=12.0, CAP_ns=4.0, CAP_client=8.0, CAP_net=10.0, CAP_moved=4.0, CAP_denied=4.0, CAP_volume=8.0,
         NEWCOMER=86400, MIN_SESSIONS=8, LOW=8.0, MEDIUM=17.0, HIGH=24.0)
BASE = dict(op=1 / 64, ns=1 / 64, client=1 / 64, net=1 / 64, denied=1 / 2, verb=1 / 16)   # 1/V: what "never seen by anyone" means
LIMIT = dict(op=96, ns=64, client=8, net=16, denied=2, verb=16)                           # values kept per actor
PARTS = ['op', 'ns', 'client', 'net', 'denied', 'volume']
CONTROL = {'system:apiserver', 'system:kube-scheduler', 'system:kube-controller-manager', 'system:kwok-controller',
           'system:cloud-controller-manager', 'system:kube-proxy', 'system:konnectivity-server'}
DISCOVERY = ('/api', '/apis', '/openapi', '/version', '/healthz', '/livez', '/readyz')
TRUSTED = {'127.0.0.1', '::1'}
PUBLIC_DOC = [ipaddress.ip_network(x) for x in ('192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24')]

# ---------------------------------------------------------------- features
def kind_of(user, groups):
    if not user or user == 'system:anonymous' or 'system:unauthenticated' in groups: return 'anonymous'
    if user.startswith('system:node:') and 'system:nodes' in groups: return 'node'
    if user.startswith('system:serviceaccount:') and 'system:serviceaccounts' in groups: return 'service account'
    if user in CONTROL: return 'control plane'
    return 'human'

def network_of(ips):
    """The client address, right to left past trusted proxies; all trusted: the API server's own host."""
    for ip in reversed(ips):
        if ip in TRUSTED: continue
        try: a = ipaddress.ip_address(ip)
        except ValueError: continue
        if a.version == 6 and a.ipv4_mapped: a = a.ipv4_mapped
        if a.version == 6: return 'private6' if a.is_private else 'public6 ' + str(ipaddress.ip_network((a, 48), False))
        if a.is_private and not any(a in n for n in PUBLIC_DOC): return 'private ' + str(ipaddress.ip_network((a, 16), False))
        return 'public ' + str(ipaddress.ip_network((a, 24), False))
    return 'loopback'

def client_of(ua):
    s = (ua or '').split(' ')[0].split('/')[0]
    return s.lower()[:48] or '(none)'

def privileged(o):
    """A pod spec wherever it lives that asks for the node (the real engine has the pod view for this)."""
    spec = (o or {}).get('spec') or {}
    for k in ('jobTemplate', 'template'):
        if k in spec: spec = (spec[k] or {}).get('spec') or {}
    if 'template' in spec: spec = (spec['template'] or {}).get('spec') or {}
    if spec.get('hostNetwork') or spec.get('hostPID') or spec.get('hostIPC') or any('hostPath' in v for v in spec.get('volumes') or ()): return True
    for c in (spec.get('containers') or []) + (spec.get('initContainers') or []) + (spec.get('ephemeralContainers') or []):
        s = c.get('securityContext') or {}
        if s.get('privileged') or (s.get('capabilities') or {}).get('add'): return True
    return False

RUNS = {'pods', 'deployments', 'daemonsets', 'statefulsets', 'replicasets', 'jobs', 'cronjobs', 'replicationcontrollers'}
RBAC = {'roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'}
HOOKS = {'mutatingwebhookconfigurations', 'validatingwebhookconfigurations', 'validatingadmissionpolicies', 'mutatingadmissionpolicies'}
def impact_of(verb, res, sub, risky, ns=''):
    """A prior, not learned: 3 a node or another's power, 2 runs code, reads secrets or exposes, 1 changes things, 0 the rest."""
    read = verb in ('get', 'list', 'watch')
    if verb == 'impersonate' or (res, sub) == ('nodes', 'proxy') or (res in RBAC and not read) or res in HOOKS and not read: return 3
    if (res, sub) == ('serviceaccounts', 'token') or res == 'certificatesigningrequests' and not read or risky: return 3
    if sub in ('exec', 'attach', 'portforward', 'ephemeralcontainers') or res == 'secrets' or verb == 'deletecollection': return 2
    if res in RUNS and verb == 'create' or res == 'namespaces' and verb == 'delete' or (res, verb) == ('services', 'create'): return 2
    if res in ('selfsubjectrulesreviews', 'selfsubjectaccessreviews'): return 1
    if not read and res not in ('events', 'leases') and sub != 'status': return 2 if ns == 'kube-system' else 1
    return 0

def features(e):
    u = e.get('user') or {}; o = e.get('objectRef') or {}; name = u.get('username') or ''; groups = u.get('groups') or []
    st = e.get('responseStatus') or {}; code = st.get('code'); uri = e.get('requestURI', '').split('?')[0]
    verb = e.get('verb', ''); res = o.get('resource', ''); sub = o.get('subresource', ''); ops = []
    if e.get('impersonatedUser') or code == 403 and 'cannot impersonate resource' in st.get('message', ''): ops.append(('impersonate', 'users', '', 3))
    if res:
        risky = verb in ('create', 'update', 'patch') and res in RUNS and sub in ('', 'ephemeralcontainers') and privileged(e.get('requestObject'))
        ops.append((verb, (o.get('apiGroup') + '/' if o.get('apiGroup') else '') + res, sub, impact_of(verb, res, sub, risky, o.get('namespace'))))
    elif not uri.startswith(DISCOVERY): ops.append((verb, '/'.join(uri.split('/')[:2]), '', 0))
    denied = code in (401, 403)
    vol = [c for c, is_in in (('denied', denied), ('secrets read', res == 'secrets' and verb in ('get', 'list', 'watch')),
           ('deletions', verb in ('delete', 'deletecollection')), ('requests', True)) if is_in]
    kind = kind_of(name, groups)
    if kind == 'control plane' and verb == 'watch': ops = [('watch', '*', '', 0)]   # informers follow whatever exists; logged when they close
    team = next((g for g in reversed(groups) if g and g not in ('system:authenticated', 'system:masters', 'system:serviceaccounts')), '')
    t = dt.datetime.fromisoformat(e['stageTimestamp'].rstrip('Z')[:26]).replace(tzinfo=dt.timezone.utc).timestamp()
    return dict(t=t, id=e.get('auditID'), actor=name, kind=kind, team=team, ops=ops, ns=o.get('namespace') or '-' if res else None,
                client=client_of(e.get('userAgent')), net=network_of(e.get('sourceIPs') or []), denied='denied' if denied else 'ok', vol=vol,
                raw=(verb, res or uri, sub))

# ---------------------------------------------------------------- state
class Peers:
    """How many actors of a scope (a team, a kind, everyone) hold each value: integers, no time."""
    __slots__ = ('a', 'm')
    def __init__(self): self.a = {}; self.m = 0
    def add(self, v): self.a[v] = self.a.get(v, 0) + 1; self.m += 1
    def p(self, v, lower):
        A = max(len(self.a), P['PRIOR'])
        return (self.a.get(v, 0) + A * lower) / (self.m + A)

class Own:
    """One actor's values of one part: v -> [weight, first, last, last unit, days].  Forward decay: weights grow by 2^(t/HALF)."""
    __slots__ = ('v', 'n', 'T')
    def __init__(self): self.v = {}; self.n = 0.0; self.T = 0
    def p(self, v, lower, g):
        T = max(self.T, P['PRIOR']); e = self.v.get(v)
        return ((e[0] / g if e else 0.0) + T * lower) / (self.n / g + T)
    def learn(self, v, t, g, limit, probation=False):
        """(the value has just become a habit, the habit that was forgotten for want of room or None)"""
        unit = int(t // P['UNIT']); e = self.v.get(v)
        if e:
            later = int(e[2] // 86400) != int(t // 86400); e[2] = t
            if e[0] == 0.0 and not later: return False, None                 # on probation until another day
            if e[3] != unit or e[0] == 0.0:
                self.T += e[0] == 0.0; e[0] += g; self.n += g; e[3] = unit
            e[4] += later
            return later and e[4] == P['HABIT'], None
        gone = None
        if len(self.v) >= limit:
            gone = min(self.v, key=lambda k: self.v[k][0]); x = self.v.pop(gone); self.n -= x[0]; self.T -= x[0] > 0.0
            if x[4] < P['HABIT']: gone = None                               # the peers never counted it
        w = 0.0 if probation else g
        self.v[v] = [w, t, t, unit, 1]; self.n += w; self.T += w > 0.0
        return P['HABIT'] <= 1, gone

VOL_MIN = dict(denied=5, deletions=10, requests=50); VOL_MIN['secrets read'] = 5
def vbin(n): return min(int(n).bit_length(), 12)          # 1, 2-3, 4-7, 8-15, ...
class Volume:
    """Sessions of an actor by log2 of their count, one small histogram per class (13 numbers)."""
    __slots__ = ('h',)
    def __init__(self): self.h = {}
    def hist(self, c): return self.h.get(c) or [0.0] * 13
    def add(self, c, n, g): self.h.setdefault(c, [0.0] * 13)[vbin(n)] += g

class Model:
    def __init__(self):
        self.own = {}; self.peers = collections.defaultdict(Peers); self.vol = {}; self.kvol = collections.defaultdict(Volume)
        self.known = set(); self.kinds = []; self.first = {}; self.sessions = collections.Counter(); self.t0 = None
    def g(self, t):
        if self.t0 is None: self.t0 = t
        return 2.0 ** ((t - self.t0) / P['HALF'])
    def scopes(self, s): return ([('team', s['team'])] if P['TEAM'] and s['team'] and s['kind'] in ('human', 'service account') else []) + [('kind', s['kind']), ('all', '')]
    def p(self, part, v, s, g, base=None):
        q = BASE[part] if base is None else base
        for sc in reversed(self.scopes(s)): q = self.peers[(part, sc)].p(v, q)
        own = self.own.get((s['actor'], part))
        return own.p(v, q, g) if own else q
    def bits(self, part, v, s, g):
        base = None
        if part == 'op': base = self.p('verb', v[0], s, g) * BASE['op']      # a new resource under a usual verb is less new
        return -math.log2(self.p(part, v, s, g, base))

    def score(self, s, t):
        """Parts of a session: name -> (weighted, bits after allowance and cap, raw bits, value)."""
        g = self.g(t); parts = {}
        for part in ('op', 'ns', 'client', 'net', 'denied'):
            best = None
            for v in s[part]:
                if part == 'denied' and v == 'ok': continue
                if part == 'ns' and v == '-' and 'op' in parts: continue     # a new operation on the whole cluster is one novelty, not two
                raw = self.bits(part, v, s, g); x = min(raw - P['FREE'], P['CAP_' + part])
                if part == 'net' and s['kind'] == 'human' and v.startswith('private') and not self.peers[part, ('kind', 'service account')].a.get(v): x = min(x, P['CAP_moved'])   # people move inside the house
                w = x * (1 + P['IMPACT'] * s['impact'].get(v, 0)) if part == 'op' else x
                if x > 0 and (best is None or (w, x, raw) > best[:3]): best = (w, x, raw, v)
            if best: parts[part] = best
        own = self.vol.get(s['actor']) or Volume(); total = sum(own.hist('requests')) / g    # every session was an opportunity
        for c, n in s['vol'].items():                                        # volume: how often were there as many in one session?
            if n < VOL_MIN[c]: continue
            b = vbin(n); k = self.kvol[s['kind']].hist(c)
            peers = (sum(k[b:]) + 0.5) / (sum(k) + 1)                        # peers' sessions that held the class at all
            raw = -math.log2(min(1.0, (sum(own.hist(c)[b:]) / g + peers) / (total + 1))); x = min(raw - P['FREE'], P['CAP_volume'])
            if x > 0 and x > parts.get('volume', (0,))[0]: parts['volume'] = (x, x, raw, (c, n))
        return parts

    def describe(self, part, v, s, t):
        """What was known before, how often, since when, and what would make it ordinary."""
        g = self.g(t); a = s['actor']; day = lambda x: dt.datetime.fromtimestamp(x, dt.timezone.utc).strftime('%d %b')
        if part == 'volume':
            h = self.vol[a].hist(v[0]) if a in self.vol else [0] * 13; hi = max((i for i, x in enumerate(h) if x), default=0)
            return f"{v[1]} {v[0]} in 10 minutes; at most {2 ** hi - 1 if hi else 0} in any of {self.sessions[a]} earlier sessions; ordinary once a twentieth of its sessions are like this"
        own = self.own.get((a, part)); e = own and own.v.get(v); n = own.n / g if own else 0; T = own.T if own else 0
        name = ' '.join(x for x in v if x) if isinstance(v, tuple) else v
        past = f"on {e[4]} days, {e[0] / g:.1f} of {n:.0f} weighted sessions, last {day(e[2])}" if e and e[0] else f"once before, {day(e[2])}, in a finding and so not learned" if e else f"never in {self.sessions[a]} sessions since {day(self.first.get(a, t))}"
        usual = ', '.join(' '.join(x for x in k if x) if isinstance(k, tuple) else k for k in sorted(own.v, key=lambda k: -own.v[k][0])[:3]) if own else 'nothing'
        who = [f"{self.peers[(part, sc)].a.get(v, 0)} of {sum(1 for x in self.kinds if sc[0] == 'all' or sc in x[1])} {'in ' + sc[1] if sc[0] == 'team' else sc[1] + 's' if sc[0] == 'kind' else 'actors'}" for sc in self.scopes(s)]
        f = 2 ** -P['FREE']; need = max(1, math.ceil(f * (n + T) / (1 - f)))
        return f"{name}: {past} (usually {usual}); a habit of {', '.join(who)}; ordinary after about {need} more sessions"

    def learn(self, s, t):
        """A value that was surprising in a finding of medium or above is on probation: it counts only from the next day it is seen."""
        g = self.g(t); a = s['actor']; self.first.setdefault(a, t); self.sessions[a] += 1
        if a not in self.known: self.known.add(a); self.kinds.append((a, self.scopes(s)))
        bad = P['PROBATION'] and s.get('weighted', 0) >= P['MEDIUM']
        for part in ('op', 'ns', 'client', 'net', 'denied'):
            for v in s[part]: self.learn1(part, v, s, t, g, bad)
        for v in {x[0] for x in s['op']}: self.learn1('verb', v, s, t, g, bad)
        vol = self.vol.setdefault(a, Volume())
        for c, n in s['vol'].items(): vol.add(c, n, g); self.kvol[s['kind']].add(c, n, 1.0)
    def learn1(self, part, v, s, t, g, probation):
        new, gone = self.own.setdefault((s['actor'], part), Own()).learn(v, t, g, LIMIT[part], probation)
        if new:
            for sc in self.scopes(s): self.peers[(part, sc)].add(v)
        if gone is not None:
            for sc in self.scopes(s):
                pr = self.peers[(part, sc)]; pr.a[gone] -= 1; pr.m -= 1
                if not pr.a[gone]: del pr.a[gone]

# ---------------------------------------------------------------- sessions
def sessions(feats, no_ns=False):
    """Aligned buckets of event time, one session per actor; yields (bucket start, [sessions]) in order."""
    cur = None; open_ = {}
    for f in feats:
        b = int(f['t'] // P['WINDOW'])
        if cur is not None and b != cur: yield cur * P['WINDOW'], list(open_.values()); open_ = {}
        cur = b
        s = open_.get(f['actor'])
        if s is None:
            s = open_[f['actor']] = dict(actor=f['actor'], kind=f['kind'], team=f['team'], t=f['t'], op=set(), ns=set(), client=set(), net=set(),
                                         denied=set(), vol=collections.Counter(), impact={}, ids=[], n=0)
        for o in f['ops']: s['op'].add(o[:3]); s['impact'][o[:3]] = max(o[3], s['impact'].get(o[:3], 0))
        if f['ns'] and not no_ns: s['ns'].add(f['ns'])
        s['client'].add(f['client']); s['net'].add(f['net']); s['denied'].add(f['denied']); s['vol'].update(f['vol']); s['ids'].append(f['id']); s['n'] += 1
    if open_: yield cur * P['WINDOW'], list(open_.values())

def run(feats, no_ns=False):
    m = Model(); out = []; start = None
    for t, group in sessions(feats, no_ns):
        if start is None: start = t - t % 86400
        if t >= start + P['LEARN']:
            for s in group:
                parts = m.score(s, t); bits = sum(x[1] for x in parts.values()); weighted = s['weighted'] = sum(x[0] for x in parts.values())
                newcomer = t - m.first.get(s['actor'], t) < P['NEWCOMER'] or m.sessions[s['actor']] < P['MIN_SESSIONS']
                text = {k: m.describe(k, x[3], s, t) for k, x in parts.items()} if weighted >= P['LOW'] else {}
                out.append(dict(t=t, actor=s['actor'], kind=s['kind'], score=bits, weighted=weighted, level=level(weighted, newcomer), parts=parts,
                                impact=s['impact'], newcomer=newcomer, ids=s['ids'], n=s['n'], text=text))
        for s in group: m.learn(s, t)                                        # after the whole bucket: order within it does not matter
    return out, m

LEVELS = ('informational', 'low', 'medium', 'high')
def level(bits, newcomer):
    l = 'high' if bits >= P['HIGH'] else 'medium' if bits >= P['MEDIUM'] else 'low' if bits >= P['LOW'] else 'informational'
    return 'low' if newcomer and l in ('medium', 'high') else l

# ---------------------------------------------------------------- metrics (the only place that reads labels)
def read_labels(path):
    acts, new, day = {}, [], None
    for l in open(path):
        if l.startswith('#'): new = l.split('newcomers ')[1].split(';')[0].split(', '); day = int(l.rsplit('day ', 1)[1])
        else:
            p = l.rstrip('\n').split('\t')
            if len(p) == 4 and p[0] != 'auditID': acts[p[0]] = tuple(p[1:])
    return acts, new, day

def baselines(feats):
    """Trivial alerts: the number of first-seen pairs or tuples in a session, learning as it goes from the first day."""
    seen = [set(), set()]; out = collections.OrderedDict(); start = feats[0]['t'] // 86400 * 86400
    for f in feats:
        keys = ((f['actor'],) + f['raw'], (f['actor'],) + f['raw'] + (f['ns'], f['client'], f['net']))
        s = None
        if f['t'] >= start + P['LEARN']:
            s = out.setdefault((f['actor'], int(f['t'] // P['WINDOW'])), dict(actor=f['actor'], ids=[], c=[0, 0])); s['ids'].append(f['id'])
        for i, k in enumerate(keys):
            if k not in seen[i]:
                seen[i].add(k)
                if s: s['c'][i] += 1
    return list(out.values())

def curve(out, key, thresholds, lab, benign, allowed=lambda s: True):
    acts = set(lab.values()); rows = []
    for th in thresholds:
        hit = [s for s in out if key(s) >= th and allowed(s)]; good = [s for s in hit if any(x in lab for x in s['ids'])]
        caught = {lab[x] for s in good for x in s['ids'] if x in lab}; fp = len(hit) - len(good)
        rows.append((th, len(hit), fp, len(good) / len(hit) if hit else 1.0, len(caught) / len(acts), fp * 1e4 / benign))
    return rows
def show(title, rows):
    print(f'\n{title}\n  threshold  sessions  benign  precision  recall(acts)  benign sessions per 10k benign events')
    for r in rows: print(f'  {r[0]:9.1f}  {r[1]:8d}  {r[2]:6d}  {r[3]:9.3f}  {r[4]:12.3f}  {r[5]:8.2f}')

def main(argv):
    args = []; opt = {}; it = iter(argv)
    for a in it:
        if a == '--no-ns': opt['no_ns'] = True
        elif a in ('--json', '--explain'): opt[a] = next(it)
        elif a == '--set': k, v = next(it).split('='); P[k] = float(v)
        else: args.append(a)
    if len(args) != 2: sys.exit(__doc__)
    with open(args[0], encoding='utf-8') as f: feats = [features(json.loads(l)) for l in f]
    lab, new, up = read_labels(args[1]); out, m = run(feats, opt.get('no_ns', False)); t0 = feats[0]['t'] // 86400 * 86400
    benign = sum(1 for f in feats if f['t'] >= t0 + P['LEARN'] and f['id'] not in lab); acts = set(lab.values())
    is_act = lambda s: any(x in lab for x in s['ids'])
    print(f'{len(out)} sessions scored, {benign} benign events, {len(acts)} acts, {sum(map(is_act, out))} sessions with planted events')
    for key in ('score', 'weighted'):
        best = {}; rank = sorted(out, key=lambda s: -s[key])
        for r, s in enumerate(rank):
            for a in {lab[x] for x in s['ids'] if x in lab}: best.setdefault(a, (r, s))
        line = ', '.join(f'{q:g} %: {sum(1 for r, _ in best.values() if r < q / 100 * len(out))}/{len(acts)}' for q in (0.25, 0.5, 1, 2))
        print(f"{'unweighted' if key == 'score' else 'weighted'}: acts in the top {line}; best benign {max(s[key] for s in out if not is_act(s)):.1f}, worst act {min(s[key] for _, s in best.values()):.1f}")
    show('surprise, unweighted bits (newcomers left out)', curve(out, lambda s: s['score'], (4, 6, 8, 10, 12, 14, 16, 18, 20), lab, benign, lambda s: not s['newcomer']))
    show('surprise, weighted by impact (newcomers left out)', curve(out, lambda s: s['weighted'], (6, 8, 10, 12, 14, 16, 17, 18, 20, 22, 24), lab, benign, lambda s: not s['newcomer']))
    b = baselines(feats)
    for i, name in enumerate(('(actor, operation)', '(actor, verb, resource, namespace, client, network)')): show(f'baseline: at least so many first-seen {name} in a session', curve(b, lambda s: s['c'][i], (1, 2, 3, 5), lab, benign))
    key = lambda s: (s['actor'], int(s['t'] // 86400)) + max((x[0], k, str(x[3])) for k, x in s['parts'].items())[1:]
    found = {f: {key(s) for s in out if s['level'] in ('medium', 'high') and is_act(s) == f} for f in (True, False)}
    print(f"\nfindings of medium or above (one per actor, day and leading value): {len(found[True])} with planted events, {len(found[False] - found[True])} benign = {len(found[False] - found[True]) * 1e4 / benign:.2f} per 10k benign events")
    print('levels of benign sessions:', dict(collections.Counter(s['level'] for s in out if not is_act(s))), 'of sessions with planted events:', dict(collections.Counter(s['level'] for s in out if is_act(s))))
    for n in new:
        mine = [s for s in out if s['actor'] == n and not is_act(s)]; d0 = min((s['t'] for s in mine), default=0); first = [s for s in mine if s['t'] < d0 + 86400]
        print(f"newcomer {n}: first day {len(first)} sessions, most {max(s['weighted'] for s in first):.1f} bits, levels {sorted({s['level'] for s in first})}; later most {max((s['weighted'] for s in mine if s['t'] >= d0 + 86400), default=0):.1f}")
    human = [s for s in out if s['kind'] == 'human' and s['t'] >= t0 + up * 86400 and not is_act(s)]
    print(f"client upgrade on day {up}: most bits of the client part in {len(human)} benign sessions of people since: {max((s['parts'].get('client', (0,))[0] for s in human), default=0):.1f}")
    missed = [a for a in acts if not any(s['level'] in ('medium', 'high') for s in out if any(lab.get(x) == a for x in s['ids']))]
    print('acts below medium:', sorted(missed) or 'none')
    sizes = collections.Counter(a for a, _ in m.own); vals = [len(o.v) for o in m.own.values()]; per = collections.Counter()
    for (a, _), o in m.own.items(): per[a] += len(o.v)
    print(f'state: {len(sizes)} actors, {sum(vals)} values of actors (most for one: {max(per.values())}), {sum(len(p.a) for p in m.peers.values())} values of peers, {sum(len(v.h) for v in m.vol.values())} histograms')
    for s in sorted(out, key=lambda s: -s['weighted'])[:int(opt.get('--explain', 0))]: explain(s)
    if '--json' in opt: json.dump([dict(s, parts={k: list(x) for k, x in s['parts'].items()}, impact=None, acts=sorted({'/'.join(lab[x]) for x in s['ids'] if x in lab})) for s in out], open(opt['--json'], 'w'))

def explain(s):
    print(f"\n{s['level'].upper()}  {s['weighted']:.1f} bits of surprise ({s['score']:.1f} before impact)  {s['actor']}  {dt.datetime.fromtimestamp(s['t'], dt.timezone.utc):%d %b %H:%M}Z  {s['n']} events")
    for k, x in sorted(s['parts'].items(), key=lambda y: -y[1][0]):
        print(f"  {k:8} +{x[0]:4.1f}" + (f" = {x[1]:.1f} x {x[0] / x[1]:.2f} (impact {s['impact'].get(x[3], 0)})" if k == 'op' else '') + f"  {s['text'].get(k, x[3])}")

if __name__ == '__main__': main(sys.argv[1:])
