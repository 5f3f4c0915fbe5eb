/* dlclose while the queue's thread is at work is harmless: the library stays. */
#include <dlfcn.h>

#include "support.h"

/* Left as they are: who could free them without the library? */
static kat_client *client;
static kat_queue *queue;

int main(void) {
    void *library = dlopen("libkaltura_app_token.so." KAT_TEST_SOVERSION, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(library != NULL);
#define LOAD(name) __typeof__(&name) name##_loaded = (__typeof__(&name))dlsym(library, #name)
    __extension__ LOAD(kat_config_new);
    __extension__ LOAD(kat_config_free);
    __extension__ LOAD(kat_config_set_service_url);
    __extension__ LOAD(kat_config_set_partner_id);
    __extension__ LOAD(kat_client_new);
    __extension__ LOAD(kat_queue_new);
    __extension__ LOAD(kat_client_start_widget_session_submit);
    kat_config *config = kat_config_new_loaded();
    kat_config_set_service_url_loaded(config, sandbox_url());
    kat_config_set_partner_id_loaded(config, PARTNER_ID);
    CHECK(kat_client_new_loaded(config, &client, NULL) == KAT_STATUS_OK);
    kat_config_free_loaded(config);
    CHECK(kat_queue_new_loaded(10, &queue, NULL) == KAT_STATUS_OK);
    for (uint64_t tag = 0; tag < 10; tag++)
        CHECK(kat_client_start_widget_session_submit_loaded(client, queue, tag, NULL, NULL) == KAT_STATUS_OK);
    CHECK(dlclose(library) == 0);
    usleep(200000);
    return 0;
}
