/* Announces more sessions than its rings have room for. Run as: announce SOCKET. */
#include "tollgate_plane.h"

#include <stdio.h>

enum { SESSIONS = 500 };

static struct tollgate_plane plane;
static struct tollgate_subscriber who;
static struct tollgate_slot slot;
static int announced, told;

static int next(void *context, struct tollgate_live *live)
{
    static char name[16];
    if (context != &who || announced == SESSIONS)
        return 0;
    snprintf(name, sizeof name, "s%d", announced++);
    live->session = tollgate_text(name);
    live->subscriber = &who;
    live->slot = slot;
    return 1;
}

static void obey(void *context, const struct tollgate_verdict *verdict)
{
    told += context == &who && verdict->sentence == TOLLGATE_ADMIT;
}

int main(int argc, char **argv)
{
    struct tollgate_options options = {"announcer", 2, 16, 1, 16, 0};
    struct tollgate_verdict verdict;
    alarm(20); /* a lost wake-up ends the test, it does not hang it */
    if (argc != 2 || tollgate_create(&plane, &options) != 0 || tollgate_slot_alloc(&plane, &slot) != 0)
        return 1;
    if (tollgate_announce(&plane, 0, next, obey, &who, 0) != -EINVAL) /* nobody has a name */
        return 2;
    who.user = tollgate_text("u");
    announced = 0;
    if (tollgate_announce(&plane, 0, next, obey, &who, 0) != -EAGAIN) /* there is no engine */
        return 3;
    tollgate_connect(&plane, argv[1]);
    while (tollgate_poll(&plane) != TOLLGATE_FRESH)
        tollgate_wait(&plane, 1000);
    announced = 0;
    if (tollgate_announce(&plane, 0, next, obey, &who, 10000) != 0 || announced != SESSIONS)
        return 4;
    while (told < SESSIONS) {
        while (tollgate_poll_verdict(&plane, &verdict))
            obey(&who, &verdict);
        tollgate_wait(&plane, 1000);
    }
    return 0;
}
