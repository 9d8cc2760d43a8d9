import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { OverviewScreen } from "../screens/overview-screen.js";
import { NotFound, RouteProblem } from "./route-problem.js";
import { parseSearch, readSearch, stringifySearch } from "./search-params.js";
import { Shell } from "./shell.js";

/** Every route and what its address holds. The first page is in the first load, the others come when they are asked for. */
const rootRoute = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: RouteProblem });

const overviewRoute = createRoute({ getParentRoute: () => rootRoute, path: "/", component: OverviewScreen });

const topicsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/topics",
  validateSearch: readSearch("q", "sort", "create"),
  component: lazyRouteComponent(() => import("../screens/topics-screen.js"), "TopicsScreen"),
});

const topicRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/topics/$topic",
  component: lazyRouteComponent(() => import("../screens/topic-layout.js"), "TopicLayout"),
});

const topicDetailsRoute = createRoute({
  getParentRoute: () => topicRoute,
  path: "/",
  component: lazyRouteComponent(() => import("../screens/topic-screen.js"), "TopicScreen"),
});

const messagesRoute = createRoute({
  getParentRoute: () => topicRoute,
  path: "/messages",
  validateSearch: readSearch("from", "at", "key", "q", "cel", "in", "as", "keyas", "sel", "live"),
  component: lazyRouteComponent(() => import("../screens/messages-screen.js"), "MessagesScreen"),
});

const recordRoute = createRoute({
  getParentRoute: () => topicRoute,
  path: "/records/$partition/$offset",
  validateSearch: readSearch("as", "keyas"),
  component: lazyRouteComponent(() => import("../screens/record-screen.js"), "RecordScreen"),
});

const produceRoute = createRoute({
  getParentRoute: () => topicRoute,
  path: "/produce",
  validateSearch: readSearch("of"),
  component: lazyRouteComponent(() => import("../screens/produce-screen.js"), "ProduceScreen"),
});

const groupsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/groups",
  validateSearch: readSearch("q", "sort", "only"),
  component: lazyRouteComponent(() => import("../screens/groups-screen.js"), "GroupsScreen"),
});

const groupRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/groups/$group",
  validateSearch: readSearch("sort"),
  component: lazyRouteComponent(() => import("../screens/group-screen.js"), "GroupScreen"),
});

const pendingRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/groups/$group/pending/$topic/$partition",
  validateSearch: readSearch("sort", "with", "peek", "as", "keyas"),
  component: lazyRouteComponent(() => import("../screens/pending-screen.js"), "PendingScreen"),
});

const deadLettersRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/dead-letters",
  component: lazyRouteComponent(() => import("../screens/dead-letters-screen.js"), "DeadLettersScreen"),
});

const deadLetterQueueRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/dead-letters/$topic/$group",
  validateSearch: readSearch("reason", "q"),
  component: lazyRouteComponent(() => import("../screens/dead-letter-queue-screen.js"), "DeadLetterQueueScreen"),
});

const jobsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/jobs",
  validateSearch: readSearch("q"),
  component: lazyRouteComponent(() => import("../screens/jobs-screen.js"), "JobsScreen"),
});

const jobRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/jobs/$job",
  component: lazyRouteComponent(() => import("../screens/job-screen.js"), "JobScreen"),
});

const auditRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/audit",
  validateSearch: readSearch("q", "outcome", "actor", "from", "to"),
  component: lazyRouteComponent(() => import("../screens/audit-screen.js"), "AuditScreen"),
});

const alertsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/alerts",
  component: lazyRouteComponent(() => import("../screens/alerts-screen.js"), "AlertsScreen"),
});

const accessRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/access",
  component: lazyRouteComponent(() => import("../screens/access-screen.js"), "AccessScreen"),
});

/** The application's addresses. */
export const router = createRouter({
  routeTree: rootRoute.addChildren([
    overviewRoute,
    topicsRoute,
    topicRoute.addChildren([topicDetailsRoute, messagesRoute, recordRoute, produceRoute]),
    groupsRoute,
    groupRoute,
    pendingRoute,
    deadLettersRoute,
    deadLetterQueueRoute,
    jobsRoute,
    jobRoute,
    alertsRoute,
    auditRoute,
    accessRoute,
  ]),
  parseSearch,
  stringifySearch,
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
