import { Form } from "react-router";

export const meta = () => [{ title: "React Router" }];

export const loader = ({ context, request }) => ({
  greeting: context.cloudflare.env.GREETING,
  name: new URL(request.url).searchParams.get("name") ?? "nobody",
});

export const action = async ({ request }) => ({ sent: (await request.formData()).get("text") });

export default function Home({ loaderData, actionData }) {
  return (
    <>
      <h1>{`${loaderData.greeting} ${loaderData.name}`}</h1>
      {actionData && <p>{actionData.sent}</p>}
      <ul>{[1, 2, 3].map((n) => <li key={n}>{n * n}</li>)}</ul>
      <Form method="post"><input name="text" /></Form>
    </>
  );
}
