/* The functions of tollgate_plane.h as a library. scripts/plane-library builds it. */
#define TOLLGATE_LIBRARY
#define TOLLGATE_LIBRARY_ITSELF
#include "tollgate_plane.h"
