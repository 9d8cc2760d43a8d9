import type { PortalLogin, PortalMaskingRule, PortalServiceListAccessResponse } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { actWords } from "../../../src/audit/act-words.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { counted } from "../parts/format.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Badge, Panel } from "../parts/panel.js";
import { portal } from "../rpc.js";

/** The other half of screen 10: who I am, what each role may do, and who may log in. */
export function AccessScreen(): ReactNode {
  const access = useQuery({
    queryKey: ["access"],
    queryFn: ({ signal }) => portal.listAccess({}, { signal }),
    refetchInterval: 10_000,
  });
  const { data } = access;
  return (
    <>
      <PageHeader title="Access">
        <CopyAs curl={curlOf("PortalService/ListAccess", {})} />
      </PageHeader>
      <div className="flex flex-col gap-5">
        {access.error !== null && <ProblemNotice error={access.error} />}
        {data === undefined && access.error === null && <Loading what="who may do what" />}
        {data !== undefined && (
          <>
            <You access={data} />
            {(!data.on || data.role === "admin") && <Others access={data} />}
            <Panel title="What each role may do" note="everybody may look, export and ask for dry runs">
              <DataTable
                caption="Acts by role"
                columns={actColumns}
                rows={data.acts}
                rowKey={({ action }) => action}
                empty={null}
              />
            </Panel>
          </>
        )}
      </div>
    </>
  );
}

function You({ access }: { readonly access: PortalServiceListAccessResponse }): ReactNode {
  const { on, name, role, readOnly } = access;
  return (
    <Panel title="You" padded>
      <div className="flex flex-col gap-1.5 text-[13px]">
        {on ? (
          <p>
            You are <span className="font-medium">{name}</span>, <Badge tone="accent">{role}</Badge>
          </p>
        ) : (
          <p>Nobody has to log in here: whoever reaches the portal may do everything.</p>
        )}
        {readOnly && <p className="text-warn">The portal is read-only: every write is refused, whatever the role.</p>}
      </div>
    </Panel>
  );
}

function Others({ access }: { readonly access: PortalServiceListAccessResponse }): ReactNode {
  const { on, logins, provider, masking } = access;
  return (
    <>
      {on && (
        <Panel
          title="People and programs"
          note={`${counted(logins.length, "entry", "entries")} of the access file${provider === "" ? "" : `, and whoever ${provider} lets in`}`}
        >
          <DataTable
            caption="People and programs"
            columns={loginColumns}
            rows={logins}
            rowKey={({ name, token }) => `${token} ${name}`}
            tall={logins.length > 30}
            empty={<Empty title="The access file names nobody" />}
          />
        </Panel>
      )}
      <Panel title="Masked fields" note={masking.length === 0 ? undefined : "*** stands in their place"}>
        <DataTable
          caption="Masked fields"
          columns={maskingColumns}
          rows={masking}
          rowKey={(rule) => String(masking.indexOf(rule))}
          empty={<Empty title="Nothing is masked">A masking file says which fields of which topics are.</Empty>}
        />
      </Panel>
    </>
  );
}

const loginColumns: readonly Column<PortalLogin>[] = [
  { id: "name", header: "Name", grow: true, cell: ({ name }) => name },
  { id: "kind", header: "Logs in by", cell: ({ token }) => (token ? "token" : "password") },
  { id: "role", header: "Role", cell: ({ role }) => <Badge>{role}</Badge> },
];

const maskingColumns: readonly Column<PortalMaskingRule>[] = [
  { id: "topics", header: "Topics", cell: ({ topics }) => topics.join(", ") },
  {
    id: "fields",
    header: "Fields",
    grow: true,
    cell: ({ fields }) => <span className="font-mono text-xs">{fields.join(", ")}</span>,
  },
  {
    id: "except",
    header: "Seen by",
    cell: ({ except }) => (except.length === 0 ? <span className="text-muted">nobody</span> : except.join(", ")),
  },
];

const roles = ["viewer", "operator", "admin"];
const actColumns: readonly Column<{ readonly action: string; readonly role: string }>[] = [
  {
    id: "act",
    header: "Act",
    grow: true,
    cell: ({ action }) => <span className="font-medium">{actWords(action)}</span>,
  },
  ...roles.map((role) => ({
    id: role,
    header: role,
    cell: (act: { readonly role: string }) =>
      roles.indexOf(role) >= roles.indexOf(act.role) ? (
        <span className="text-good">may</span>
      ) : (
        <span className="text-muted">no</span>
      ),
  })),
];
