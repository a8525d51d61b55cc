export const prerender = false;

export const POST = async ({ request }) => Response.json({ given: await request.json() }, { status: 201 });
