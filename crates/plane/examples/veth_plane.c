/*
 * A packet plane whose subscribers are network interfaces. Run as: veth_plane SOCKET PLANE. It is told, a line each:
 *     up INTERFACE USER     a subscriber comes online; what the interface receives is what it sends
 *     down INTERFACE        and goes
 *     many COUNT USER       sessions m0, m1, ... without an interface come online and count by themselves
 * It says, a line each: linked PLANE LINKS (the engine has taken it), admit, refuse or cut NAME REASON, not-done VERB,
 * and at both ends of a session up or down NAME with what the kernel had counted: octets, packets received; then sent.
 * At the end of its input it ends each session once it is admitted, and leaves when all downs are taken over.
 */
#include "tollgate_plane.h"

enum { SESSIONS_MAX = 16384, TEXT_BYTES = 128, PERIOD_MS = 50 };
enum { USER_REQUEST = 1, LOST_CARRIER = 2, NAS_REQUEST = 10 }; /* Acct-Terminate-Cause, RFC 2866 section 5.10 */

static struct session {
    char name[TEXT_BYTES], user[TEXT_BYTES];
    struct tollgate_slot slot;
    struct tollgate_counters totals; /* since up */
    uint64_t last[4];                /* what the kernel has counted */
    uint64_t up_ms, down_ms;         /* since 1970; down_ms 0: it is online */
    uint32_t announced;              /* in which resync */
    uint8_t cause, is_real, is_admitted;
} sessions[SESSIONS_MAX];

static struct tollgate_plane plane;
static uint32_t session_count, links, begun, ended; /* each link has its resync, which is begun and ended */

static char *put_number(char *at, uint64_t value)
{
    if (value >= 10)
        at = put_number(at, value / 10);
    *at = (char)('0' + value % 10);
    return at + 1;
}

static void say(const char *what, const char *name, const uint64_t *values, size_t count)
{
    char line[3 * TEXT_BYTES], *at = stpcpy(stpcpy(stpcpy(line, what), " "), name);
    while (count-- > 0)
        at = put_number(stpcpy(at, " "), *values++);
    *at++ = '\n';
    (void)!write(1, line, (size_t)(at - line)); /* when nobody listens, SIGPIPE ends it */
}

/* Brings the counters up to date. -1: the interface is gone, or another one has its name. */
static int count(struct session *session)
{
    static const char *const names[] = {"rx_bytes", "rx_packets", "tx_bytes", "tx_packets"};
    struct tollgate_totals *all = &session->totals.v4;
    uint64_t *const totals[] = {&all->in_octets, &all->in_packets, &all->out_octets, &all->out_packets};
    for (size_t index = 0; index < 4; index++) {
        uint64_t now = session->last[index] + 77 + session->slot.slot * (index % 2 ? 1ull : 4096ull);
        if (session->is_real) {
            char path[2 * TEXT_BYTES], text[32] = "";
            stpcpy(stpcpy(stpcpy(stpcpy(path, "/sys/class/net/"), session->name), "/statistics/"), names[index]);
            int file = open(path, O_RDONLY | O_CLOEXEC);
            ssize_t len = read(file, text, sizeof text - 1);
            close(file);
            now = strtoull(text, NULL, 10);
            if (len <= 0 || now < session->last[index])
                return -1;
        }
        *totals[index] += now - session->last[index];
        session->last[index] = now;
    }
    return 0;
}

static struct session *find(const char *name)
{
    for (struct session *session = sessions; session < sessions + session_count; session++)
        if (strcmp(session->name, name) == 0)
            return session;
    return NULL;
}

static int come_online(const char *name, const char *user, uint8_t is_real)
{
    struct session new = {.is_real = is_real, .up_ms = (uint64_t)time(NULL) * 1000};
    stpcpy(new.name, name); /* a command fits, so its words fit */
    stpcpy(new.user, user);
    if (session_count == SESSIONS_MAX || find(name) || count(&new) != 0 || tollgate_slot_alloc(&plane, &new.slot) != 0)
        return -1;
    memset(&new.totals, 0, sizeof new.totals);
    sessions[session_count++] = new;
    say("up", name, new.last, 4);
    return 0;
}

/* What is counted now is final. */
static int go_offline(struct session *session, uint8_t cause)
{
    if (session->down_ms != 0)
        return -1;
    count(session);
    session->cause = cause;
    session->down_ms = (uint64_t)time(NULL) * 1000;
    say("down", session->name, session->last, 4);
    return 0;
}

/* Says what is due and finds room in the ring. Backwards, because the last session takes the place of one that goes. */
static void speak(void)
{
    if (begun != links && tollgate_resync_begin(&plane, 0) != 0)
        return;
    begun = links;
    for (uint32_t index = session_count; index-- > 0;) {
        struct session *session = &sessions[index];
        struct tollgate_octets name = tollgate_text(session->name), user = tollgate_text(session->user);
        struct tollgate_subscriber who = {.user = user, .nas_port_id = name, .access = TOLLGATE_IPOE};
        if (session->announced != begun && tollgate_up(&plane, 0, name, &who, session->slot, session->up_ms) != 0)
            return;
        session->announced = begun;
        if (session->down_ms == 0)
            continue;
        if (tollgate_down(&plane, 0, name, session->cause, &session->totals, session->down_ms) != 0)
            return;
        tollgate_slot_free(&plane, session->slot);
        *session = sessions[--session_count];
    }
    if (ended != begun && tollgate_resync_end(&plane, 0) == 0)
        ended = begun;
}

static void obey(const struct tollgate_verdict *verdict)
{
    static const char *const words[] = {"", "admit", "refuse", "cut"};
    char name[TOLLGATE_SESSION_MAX + 1] = "";
    memcpy(name, verdict->session, verdict->session_len);
    struct session *session = find(name);
    say(words[verdict->sentence % 4], name, &(uint64_t){verdict->reason}, 1);
    if (session && !tollgate_is_on(verdict, session->slot))
        session = NULL;
    if (session && verdict->sentence == TOLLGATE_ADMIT)
        session->is_admitted = 1;
    if (session && verdict->sentence == TOLLGATE_CUT)
        go_offline(session, NAS_REQUEST);
    if (session && verdict->sentence == TOLLGATE_REFUSE) {
        tollgate_slot_free(&plane, session->slot);
        *session = sessions[--session_count];
    }
}

static void command(char *text)
{
    char *user, *verb = strtok_r(text, " ", &user), *what = strtok_r(NULL, " ", &user), name[32] = "m";
    struct session *session = what ? find(what) : NULL;
    int failed = 1;
    if (what && *user && strcmp(verb, "up") == 0)
        failed = come_online(what, user, 1);
    else if (session && strcmp(verb, "down") == 0)
        failed = go_offline(session, USER_REQUEST);
    else if (what && *user && strcmp(verb, "many") == 0)
        for (uint64_t left = strtoull(what, NULL, 10); left-- > 0; failed = come_online(name, user, 0))
            *put_number(name + 1, left) = 0;
    if (failed)
        say("not-done", text, NULL, 0);
    speak();
}

/* Does the lines that have come; 0 when no more will. */
static int listen_to(int input)
{
    static char text[TEXT_BYTES], *end = text;
    for (struct pollfd polled = {input, POLLIN, 0}; poll(&polled, 1, 0) > 0;) {
        if (read(input, end, 1) != 1)
            return 0;
        if (*end != '\n') {
            end += end < text + sizeof text - 1;
            continue;
        }
        *end = 0;
        command(end = text);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct tollgate_options options = {argc == 3 ? argv[2] : NULL, 1, 4096, SESSIONS_MAX, 4096, 0};
    struct tollgate_verdict verdict;
    if (argc != 3 || tollgate_create(&plane, &options) != 0 || tollgate_connect(&plane, argv[1]) != 0)
        return 2;
    for (int is_told = 1; is_told || session_count > 0 || !tollgate_taken_over(&plane);) {
        if (tollgate_poll(&plane) == TOLLGATE_FRESH)
            say("linked", argv[2], &(uint64_t){++links}, 1);
        while (tollgate_poll_verdict(&plane, &verdict))
            obey(&verdict);
        is_told = is_told && listen_to(0);
        for (struct session *session = sessions; session < sessions + session_count; session++) {
            if (session->down_ms == 0 && count(session) != 0)
                go_offline(session, LOST_CARRIER);
            if (!is_told && session->is_admitted)
                go_offline(session, USER_REQUEST);
            tollgate_store(&plane, session->slot, &session->totals);
        }
        speak();
        tollgate_wait(&plane, PERIOD_MS);
    }
    return 0;
}
